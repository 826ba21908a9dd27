// The question table. Text from datasets and models reaches the page as text nodes only; it is never parsed as HTML.
"use strict";
(() => {
  const PAGE_SIZE = 50;
  // The keys and positions here are those of the enumerations in answers.py.
  const OUTCOMES = { r: ["✓", "right"], w: ["✗", "wrong"], e: ["!", "error"], n: ["?", "not judged"], "-": ["–", "not asked"] };
  const EVIDENCE_STATES = [
    ["✗", "not stored"], ["✗", "stored, not retrieved"], ["✗", "retrieved, cut by the budget"],
    ["✓", "in the context"], ["?", "not known"],
  ];
  const CONTEXT_NOT_KEPT = -1, CONTEXT_LEFT_OUT = -2;
  const PAIR_FILTERS = [
    ["all", "all questions"], ["differ", "only one right"], ["first", "only the first right"], ["second", "only the second right"],
    ["right", "both right"], ["wrong", "both wrong"], ["other", "not comparable"],
  ];
  const $ = (id) => document.getElementById(id);

  /** An element with attributes by name; children are elements or text. */
  function element(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) if (value !== null) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const bdi = (text) => element("bdi", null, text);
  const grouped = (number) => number.toLocaleString("en-US");
  const brief = (text, length = 300) => (text.trim() === "" ? "(no text)" : text.length > length ? text.slice(0, length) + "…" : text);

  function setUpTheme() {
    const root = document.documentElement, button = $("theme"), system = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    const label = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Change to ${isDark() ? "light" : "dark"} colours`);
    };
    try { // a page that is opened as a file may have no storage
      const stored = localStorage.getItem("engram-eval-theme");
      if (stored === "dark" || stored === "light") root.dataset.theme = stored;
    } catch { /* use the system's theme */ }
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("engram-eval-theme", root.dataset.theme); } catch { /* the choice lasts until the page is closed */ }
      label();
    });
    system.addEventListener("change", label);
    label();
    button.hidden = false;
  }

  async function unpacked(id) {
    const encoded = atob($(id).textContent);
    const bytes = new Uint8Array(encoded.length);
    for (let i = 0; i < encoded.length; i++) bytes[i] = encoded.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  let data, detailsPromise, shown = [], pageNumber = 0, searchTexts = null, opened = null, pairFilter = "all";
  const loadDetails = () => (detailsPromise ??= unpacked("details-data"));
  const textOf = (number) => (number === null || number < 0 ? null : data.texts[number]);
  const outcomeOf = (backend, question) => data.answers[backend].outcome[question];
  const backendNumbers = () => data.backends.map((_, number) => number);
  const questionNumbers = () => data.questions.id.map((_, number) => number);

  // --- filters ---------------------------------------------------------------------------------------------------

  const selected = (id) => ($(id).value === "" ? null : Number($(id).value));

  function searchText(question) {
    const { id, text, gold } = data.questions;
    const parts = [id, text, gold].map((column) => textOf(column[question]));
    for (const answers of data.answers) parts.push(textOf(answers.answer[question]) ?? "");
    return parts.join("\n").toLowerCase();
  }

  /** How the two backends that are compared did. An error is not a wrong answer, so it is not comparable. */
  function pairOutcome(question) {
    const both = outcomeOf(selected("first"), question) + outcomeOf(selected("second"), question);
    return { rr: "right", ww: "wrong", rw: "first", wr: "second" }[both] ?? "other";
  }

  function passesPairFilter(question) {
    const outcome = pairOutcome(question);
    return pairFilter === "all" || outcome === pairFilter || (pairFilter === "differ" && (outcome === "first" || outcome === "second"));
  }

  function applyFilters() {
    const backend = selected("backend"), category = selected("category"), outcome = $("outcome").value, stage = selected("failure-stage");
    const search = $("search").value.toLowerCase().trim();
    if (search && !searchTexts) searchTexts = questionNumbers().map(searchText);
    const candidates = backend === null ? backendNumbers() : [backend];
    const answerPasses = (candidate, question) => {
      const actual = outcomeOf(candidate, question);
      if (outcome ? actual !== outcome : backend !== null && actual === "-") return false;
      return stage === null || data.answers[candidate].failure_stage[question] === stage;
    };
    const passes = (question) =>
      (category === null || data.questions.category[question] === category) &&
      (!search || searchTexts[question].includes(search)) &&
      passesPairFilter(question) &&
      candidates.some((candidate) => answerPasses(candidate, question));
    shown = questionNumbers().filter(passes);
    pageNumber = 0;
    opened = null;
    const total = data.questions.id.length;
    $("count").textContent = shown.length === total ? `${grouped(total)} questions` : `${grouped(shown.length)} of ${grouped(total)} questions`;
    showRows();
  }

  function showPairFilters() {
    const counts = { all: 0, differ: 0, first: 0, second: 0, right: 0, wrong: 0, other: 0 };
    for (const question of questionNumbers()) {
      const outcome = pairOutcome(question);
      counts.all++;
      counts[outcome]++;
      if (outcome === "first" || outcome === "second") counts.differ++;
    }
    const offered = PAIR_FILTERS.filter(([name]) => counts[name] || name === "differ" || name === pairFilter);
    $("pairs").replaceChildren(...offered.map(([name, label]) => {
      const button = element("button", { type: "button", "aria-pressed": String(name === pairFilter) }, `${label} (${grouped(counts[name])})`);
      button.addEventListener("click", () => {
        pairFilter = name;
        for (const sibling of $("pairs").children) sibling.setAttribute("aria-pressed", String(sibling === button));
        applyFilters();
      });
      return button;
    }));
  }

  // --- the table -------------------------------------------------------------------------------------------------

  function outcomeMark(outcome) {
    const [sign, word] = OUTCOMES[outcome];
    return element("span", { class: `o ${outcome === "-" ? "absent" : outcome}` },
      element("span", { "aria-hidden": "true" }, sign), element("span", { class: "unseen" }, word));
  }

  function questionRow(question) {
    const { text, category } = data.questions;
    const button = element("button", { type: "button", class: "ask", "aria-expanded": "false" }, bdi(brief(textOf(text[question]))));
    const row = element("tr", null, element("td", { class: "q" }, button),
      element("td", { class: "cat" }, bdi(brief(data.categories[category[question]], 60))),
      ...data.backends.map((label, backend) => element("td", { class: "ans" },
        outcomeMark(outcomeOf(backend, question)), element("span", { class: "name" }, bdi(brief(label, 60))))));
    button.addEventListener("click", () => toggle(row, button, question));
    return row;
  }

  function showRows() {
    const pageCount = Math.max(1, Math.ceil(shown.length / PAGE_SIZE));
    $("rows").replaceChildren(...shown.slice(pageNumber * PAGE_SIZE, (pageNumber + 1) * PAGE_SIZE).map(questionRow));
    $("page").textContent = `Page ${grouped(pageNumber + 1)} of ${grouped(pageCount)}`;
    $("previous").disabled = pageNumber === 0;
    $("next").disabled = pageNumber >= pageCount - 1;
  }

  function turnPage(step) {
    pageNumber += step;
    opened = null;
    showRows();
    $("rows").querySelector("button")?.focus();
  }

  async function toggle(row, button, question) {
    const wasOpen = opened?.button === button;
    close();
    if (wasOpen) return;
    button.setAttribute("aria-expanded", "true");
    const cell = element("td", { colspan: String(2 + data.backends.length) }, "…");
    const detailRow = element("tr", { class: "detail" }, cell);
    opened = { button, detailRow };
    row.after(detailRow);
    cell.replaceChildren(...questionDetail(question, await loadDetails()));
  }

  function close() {
    if (!opened) return;
    opened.button.setAttribute("aria-expanded", "false");
    opened.detailRow.remove();
    opened = null;
  }

  // --- one question ----------------------------------------------------------------------------------------------

  /** A text of any length. A long one scrolls, so the keyboard must reach it. */
  function passage(text, label) {
    const long = text.length > 600;
    return element("div", { class: "text", tabindex: long ? "0" : null, role: long ? "region" : null, "aria-label": long ? label : null }, bdi(text));
  }

  function questionDetail(question, details) {
    const { id, conversation, category, text, gold, unanswerable } = data.questions;
    const line = (name, child) => element("div", { class: "line" }, element("span", null, name), element("div", null, child));
    const facts = [textOf(id[question]), textOf(conversation[question]), data.categories[category[question]]].map((fact) => brief(fact));
    const idLine = element("span", null);
    facts.forEach((fact, i) => idLine.append(i ? " · " : "", bdi(fact)));
    if (unanswerable[question]) idLine.append(" · unanswerable: the right answer is to say so");
    const goldText = textOf(gold[question]);
    return [
      element("div", { class: "question" }, line("question", passage(textOf(text[question]), "Question")),
        line("gold answer", goldText === "" ? "(none)" : passage(goldText, "Gold answer")), line("id", idLine)),
      element("div", { class: "sides" }, ...backendNumbers().filter((backend) => outcomeOf(backend, question) !== "-")
        .map((backend) => answerCard(backend, question, details))),
    ];
  }

  function answerCard(backend, question, details) {
    const outcome = outcomeOf(backend, question), [sign, word] = OUTCOMES[outcome], label = brief(data.backends[backend]);
    const columns = details.answers[backend], value = (name) => columns[name][question];
    const answer = textOf(data.answers[backend].answer[question]), stage = data.answers[backend].failure_stage[question];
    const card = element("article", { class: `side ${outcome}`, "aria-label": `${label}: ${word}` },
      element("h4", null, bdi(label), element("span", { class: `o ${outcome}` }, `${sign} ${word}`)));
    if (answer === null) card.append(element("p", { class: "hint" }, "no answer"));
    else if (answer === "") card.append(element("p", { class: "hint" }, "(an empty answer)"));
    else card.append(passage(answer, `Answer of ${label}`));
    if (value("explanation") >= 0) {
      const explanation = passage(details.texts[value("explanation")], outcome === "e" ? "Error" : "The judge's reason");
      explanation.prepend(outcome === "e" ? "error: " : "judge: ");
      explanation.classList.add("why");
      card.append(explanation);
    }
    if (stage >= 0) card.append(element("p", { class: "why" }, "failure stage: ", bdi(data.failure_stages[stage])));
    card.append(measureList(value), ...evidenceLists(value, details), ...contextBox(value, question, details));
    return card;
  }

  function measureList(value) {
    const list = element("dl", { class: "measures" });
    const add = (name, text) => list.append(element("div", null, element("dt", null, name), element("dd", null, text)));
    const duration = (s) => (s < 1 ? `${Number((1000 * s).toPrecision(3))} ms` : `${Number(s.toPrecision(3))} s`);
    if (value("f1") !== null) add("F1", value("f1").toFixed(2));
    if (value("context_tokens") !== null) add("context tokens", grouped(value("context_tokens")));
    if (value("retrieval_s") !== null) add("retrieval", duration(value("retrieval_s")));
    if (value("answer_s") !== null) add("answer", duration(value("answer_s")));
    if (value("votes").length) add("votes", value("votes").map((vote) => (vote ? "✓" : "✗")).join(" "));
    return list;
  }

  function evidenceLists(value, details) {
    const evidence = value("evidence"), states = value("evidence_states"), retrieved = value("retrieved");
    const parts = [];
    if (evidence.length) {
      parts.push(element("p", { class: "part" }, "evidence"), element("ul", { class: "ids" }, ...evidence.map((id, i) => {
        const [sign, words] = EVIDENCE_STATES[states[i]];
        return element("li", { class: sign === "✓" ? "there" : sign === "✗" ? "gone" : "" }, `${sign} `, bdi(details.texts[id]), ` ${words}`);
      })));
    }
    if (retrieved.length) {
      const list = element("ul", { class: "ids" });
      const fold = element("details", { class: "part" }, element("summary", null, `retrieved turns, best first (${grouped(retrieved.length)})`), list);
      fold.addEventListener("toggle", () => {
        if (list.childElementCount) return;
        const evidenceIds = new Set(evidence);
        list.append(...retrieved.map((id) => element("li", { class: evidenceIds.has(id) ? "there" : null },
          evidenceIds.has(id) ? "✓ " : "", bdi(details.texts[id]))));
      });
      parts.push(fold);
    }
    return parts;
  }

  function contextBox(value, question, details) {
    const number = value("context");
    if (number === CONTEXT_NOT_KEPT) return [];
    if (number === CONTEXT_LEFT_OUT) return [element("p", { class: "part" }, "The context is left out of this page because of its size; it is in the run's folder.")];
    const lines = details.contexts[number], marked = new Set(details.marked[question]);
    const evidenceCount = lines.filter((line) => marked.has(line)).length;
    const evidenceNote = evidenceCount ? ` (${evidenceCount} ${evidenceCount === 1 ? "line" : "lines"} of evidence marked)` : "";
    const box = element("div", { class: "context", tabindex: "0", role: "region", "aria-label": "Context" });
    const fold = element("details", { class: "part" },
      element("summary", null, `context as it was sent${value("cut") ? ", its end cut off" : ""}${evidenceNote}`), box);
    fold.addEventListener("toggle", () => {
      if (box.childElementCount) return;
      const isEmpty = lines.length === 1 && details.lines[lines[0]] === "";
      box.append(...lines.map((line) => element("p", { class: marked.has(line) ? "evidence" : null },
        marked.has(line) ? element("span", { class: "unseen" }, "evidence: ") : null, bdi(isEmpty ? "(empty)" : details.lines[line]))));
      box.querySelector(".evidence")?.scrollIntoView({ block: "nearest" });
    });
    return [fold];
  }

  // --- set-up ----------------------------------------------------------------------------------------------------

  /** Fills a select element with labels by number; `any` is the label of the option that filters nothing. */
  function fillSelect(id, any, labels) {
    const options = labels.map((label, number) => element("option", { value: String(number) }, brief(label, 60)));
    $(id).replaceChildren(...(any === null ? [] : [element("option", { value: "" }, any)]), ...options);
  }

  function fillControls() {
    fillSelect("backend", "any", data.backends);
    fillSelect("category", "all", data.categories);
    fillSelect("failure-stage", "any", data.failure_stages);
    $("failure-stage-label").hidden = data.failure_stages.length === 0;
    const present = new Set(data.answers.flatMap((answers) => [...new Set(answers.outcome)]));
    $("outcome").replaceChildren(element("option", { value: "" }, "any"), ...["r", "w", "e", "n"]
      .filter((outcome) => present.has(outcome)).map((outcome) => element("option", { value: outcome }, OUTCOMES[outcome][1])));
    fillSelect("first", null, data.backends);
    fillSelect("second", null, data.backends);
    if (data.backends.length > 1) {
      [$("first").value, $("second").value] = data.pair.map(String);
      $("comparison").hidden = false;
      showPairFilters();
    }
    $("head").replaceChildren(element("tr", null,
      element("th", { scope: "col", class: "q" }, "question"), element("th", { scope: "col", class: "cat" }, "category"),
      ...data.backends.map((label) => element("th", { scope: "col", class: "ans" }, bdi(brief(label, 60))))));
  }

  function listen() {
    for (const id of ["first", "second"]) $(id).addEventListener("change", () => { showPairFilters(); applyFilters(); });
    for (const id of ["backend", "category", "outcome", "failure-stage"]) $(id).addEventListener("change", applyFilters);
    $("search").addEventListener("input", applyFilters);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", () => {
      const compared = [$("first").value, $("second").value];
      pairFilter = "all";
      setTimeout(() => { // after the browser has reset the fields
        [$("first").value, $("second").value] = compared;
        if (data.backends.length > 1) showPairFilters();
        applyFilters();
      });
    });
    $("previous").addEventListener("click", () => turnPage(-1));
    $("next").addEventListener("click", () => turnPage(1));
    $("rows").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !opened) return;
      const { button } = opened;
      close();
      button.focus();
    });
  }

  async function start() {
    setUpTheme();
    if (!$("browser")) return;
    if (typeof DecompressionStream === "undefined") {
      $("trouble").textContent = "This browser is too old for the question table; the rest of this page works.";
      return;
    }
    data = await unpacked("table-data");
    fillControls();
    listen();
    applyFilters();
    $("browser").hidden = false;
    document.documentElement.dataset.ready = "yes";
  }
  start();
})();
