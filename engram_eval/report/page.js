// The question table. What datasets and models wrote reaches the page as text nodes only; nothing is ever parsed as HTML.
"use strict";
(() => {
  const PAGE = 50;
  const OUTCOMES = { r: ["✓", "right"], w: ["✗", "wrong"], e: ["!", "error"], n: ["?", "not judged"], "-": ["–", "not asked"] };
  const STATES = [
    ["✗", "not stored by the memory"], ["✗", "not in the context"], ["✗", "retrieved, but cut by the budget"],
    ["✓", "in the context"], ["?", "not known"],
  ];
  const PAIRS = [
    ["all", "all questions"], ["flipped", "flipped"], ["first", "only the first right"], ["second", "only the second right"],
    ["rr", "both right"], ["ww", "both wrong"], ["other", "not comparable"],
  ];
  const $ = (id) => document.getElementById(id);

  /** An element: attributes by name, children as elements or as text. */
  function el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) if (value !== null) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }
  const bdi = (text) => el("bdi", null, text);
  const grouped = (number) => number.toLocaleString("en-US");

  function theme() {
    const root = document.documentElement, button = $("theme"), system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
    const label = () => {
      button.textContent = dark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Change to ${dark() ? "light" : "dark"} colours`);
    };
    try { // a file may have no storage
      const kept = localStorage.getItem("engram-eval-theme");
      if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    } catch { /* then it is the system's */ }
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("engram-eval-theme", root.dataset.theme); } catch { /* for this time only */ }
      label();
    });
    system.addEventListener("change", label);
    label();
    button.hidden = false;
  }

  async function unpacked(id) {
    const text = atob($(id).textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  let data, details, shown = [], page = 0, texts = null, open = null, pair = "all";
  const detailed = () => (details ??= unpacked("details-data"));
  const text = (number) => (number === null || number < 0 ? null : data.texts[number]);
  const outcome = (backend, question) => data.answers[backend].outcome[question];

  // --- which questions -------------------------------------------------------------------------------------------

  const chosen = (id) => ($(id).value === "" ? null : Number($(id).value));

  function searchable(question) {
    const of = data.questions;
    const parts = [of.id, of.text, of.gold].map((column) => text(column[question]));
    for (const answers of data.answers) if (answers.answer) parts.push(text(answers.answer[question]) ?? "");
    return parts.join("\n").toLowerCase();
  }

  /** Where the two that are set side by side stand. An error is no wrong answer, so it is in no pair. */
  function paired(question) {
    const both = outcome(chosen("first"), question) + outcome(chosen("second"), question);
    return { rr: "rr", ww: "ww", rw: "first", wr: "second" }[both] ?? "other";
  }

  function inPair(question) {
    const of = paired(question);
    return pair === "all" || of === pair || (pair === "flipped" && (of === "first" || of === "second"));
  }

  function filter() {
    const backend = chosen("backend"), category = chosen("category"), wanted = $("outcome").value, cause = chosen("cause");
    const words = $("search").value.toLowerCase().trim();
    if (words && !texts) texts = data.questions.id.map((_, question) => searchable(question));
    const among = backend === null ? data.answers.map((_, number) => number) : [backend];
    const fits = (question) => {
      if (category !== null && data.questions.category[question] !== category) return false;
      if (words && !texts[question].includes(words)) return false;
      if (!inPair(question)) return false;
      return among.some((one) => {
        const is = outcome(one, question);
        if (wanted ? is !== wanted : backend !== null && is === "-") return false;
        return cause === null || data.answers[one].cause?.[question] === cause;
      });
    };
    shown = data.questions.id.map((_, question) => question).filter(fits);
    page = 0;
    open = null;
    const every = data.questions.id.length;
    $("count").textContent = shown.length === every ? `${grouped(every)} questions` : `${grouped(shown.length)} of ${grouped(every)} questions`;
    rows();
  }

  function pairs() {
    const counts = { all: 0, flipped: 0, first: 0, second: 0, rr: 0, ww: 0, other: 0 };
    data.questions.id.forEach((_, question) => {
      const of = paired(question);
      counts.all++;
      counts[of]++;
      if (of === "first" || of === "second") counts.flipped++;
    });
    $("pairs").replaceChildren(...PAIRS.filter(([name]) => counts[name] || name === "flipped" || name === pair).map(([name, label]) => {
      const button = el("button", { type: "button", "aria-pressed": String(name === pair) }, `${label} (${grouped(counts[name])})`);
      button.addEventListener("click", () => {
        pair = name;
        for (const other of $("pairs").children) other.setAttribute("aria-pressed", String(other === button));
        filter();
      });
      return button;
    }));
  }

  // --- the table -------------------------------------------------------------------------------------------------

  function mark(is) {
    const [sign, word] = OUTCOMES[is];
    return el("span", { class: `o ${is === "-" ? "absent" : is}` }, el("span", { "aria-hidden": "true" }, sign), el("span", { class: "unseen" }, word));
  }

  function row(question) {
    const of = data.questions;
    const button = el("button", { type: "button", class: "ask", "aria-expanded": "false" }, bdi(brief(text(of.text[question]))));
    const made = el("tr", null, el("td", { class: "q" }, button),
      el("td", { class: "cat" }, bdi(brief(data.categories[of.category[question]], 60))),
      ...data.backends.map((label, backend) => el("td", { class: "ans" }, mark(outcome(backend, question)), el("span", { class: "name" }, bdi(brief(label, 60))))));
    button.addEventListener("click", () => toggle(made, button, question));
    return made;
  }

  const brief = (words, most = 300) => (words.trim() === "" ? "(no text)" : words.length > most ? words.slice(0, most) + "…" : words);

  function rows() {
    const last = Math.max(1, Math.ceil(shown.length / PAGE));
    $("rows").replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(row));
    $("page").textContent = `Page ${grouped(page + 1)} of ${grouped(last)}`;
    $("previous").disabled = page === 0;
    $("next").disabled = page >= last - 1;
  }

  function turn(step) {
    page += step;
    open = null;
    rows();
    $("rows").querySelector("button")?.focus();
  }

  async function toggle(made, button, question) {
    const again = open?.button === button;
    close();
    if (again) return;
    button.setAttribute("aria-expanded", "true");
    const cell = el("td", { colspan: String(2 + data.backends.length) }, "…");
    const under = el("tr", { class: "detail" }, cell);
    open = { button, under };
    made.after(under);
    const more = await detailed();
    cell.replaceChildren(...detail(question, more));
  }

  function close() {
    if (!open) return;
    open.button.setAttribute("aria-expanded", "false");
    open.under.remove();
    open = null;
  }

  // --- one question ----------------------------------------------------------------------------------------------

  /** A text of any length; what has to be scrolled can be reached by keyboard. */
  function passage(words, label) {
    const long = words.length > 600;
    return el("div", { class: "text", tabindex: long ? "0" : null, role: long ? "region" : null, "aria-label": long ? label : null }, bdi(words));
  }

  function detail(question, more) {
    const of = data.questions;
    const line = (name, child) => el("div", { class: "line" }, el("span", null, name), el("div", null, child));
    const facts = [text(of.id[question]), text(of.conversation[question]), data.categories[of.category[question]]].map((fact) => brief(fact));
    const where = el("span", null);
    facts.forEach((fact, i) => where.append(i ? " · " : "", bdi(fact)));
    if (of.unanswerable[question]) where.append(" · cannot be answered: the right answer is to say so");
    const gold = text(of.gold[question]);
    return [
      el("div", { class: "asked" }, line("question", passage(text(of.text[question]), "Question")),
        line("gold", gold === "" ? "(none)" : passage(gold, "Gold answer")), line("id", where)),
      el("div", { class: "sides" }, ...data.backends.map((_, backend) => backend)
        .filter((backend) => outcome(backend, question) !== "-").map((backend) => side(backend, question, more))),
    ];
  }

  function side(backend, question, more) {
    const is = outcome(backend, question), label = data.backends[backend], columns = more.answers[backend];
    const value = (name) => columns[name][question];
    const answer = text(data.answers[backend].answer[question]), cause = data.answers[backend].cause[question];
    const explanation = value("explanation") < 0 ? null : more.texts[value("explanation")];
    const made = el("article", { class: `side ${is}`, "aria-label": `${brief(label)}: ${OUTCOMES[is][1]}` },
      el("h4", null, bdi(brief(label)), el("span", { class: `o ${is}` }, `${OUTCOMES[is][0]} ${OUTCOMES[is][1]}`)));
    made.append(answer === null ? el("p", { class: "hint" }, "no answer") : answer === "" ? el("p", { class: "hint" }, "(an empty answer)") : passage(answer, `Answer of ${brief(label)}`));
    if (explanation !== null) {
      const why = passage(explanation, is === "e" ? "Error" : "The judge's reason");
      why.prepend(is === "e" ? "error: " : "judge: ");
      why.classList.add("why");
      made.append(why);
    }
    if (cause >= 0) made.append(el("p", { class: "why" }, "cause: ", bdi(brief(data.causes[cause]))));
    made.append(measures(value), ...evidence(value, more), ...context(value("context"), question, value("cut"), more));
    return made;
  }

  function measures(value) {
    const list = el("dl", { class: "measures" });
    const add = (name, shown) => list.append(el("div", null, el("dt", null, name), el("dd", null, shown)));
    const seconds = (s) => (s < 1 ? `${Number((1000 * s).toPrecision(3))} ms` : `${Number(s.toPrecision(3))} s`);
    if (value("f1") !== null) add("F1", value("f1").toFixed(2));
    if (value("tokens") !== null) add("context tokens", grouped(value("tokens")));
    if (value("retrieval") !== null) add("retrieval", seconds(value("retrieval")));
    if (value("answered") !== null) add("answer", seconds(value("answered")));
    if (value("votes").length) add("votes", value("votes").map((vote) => (vote ? "✓" : "✗")).join(" "));
    return list;
  }

  function evidence(value, more) {
    const ids = value("evidence"), states = value("states"), retrieved = value("retrieved");
    const parts = [];
    if (ids.length) {
      parts.push(el("p", { class: "part" }, "evidence"), el("ul", { class: "ids" }, ...ids.map((id, i) => {
        const [sign, words] = STATES[states[i]];
        return el("li", { class: sign === "✓" ? "there" : sign === "✗" ? "gone" : "" }, `${sign} `, bdi(more.texts[id]), ` ${words}`);
      })));
    }
    if (retrieved.length) {
      const list = el("ul", { class: "ids" });
      const inner = el("details", { class: "part" }, el("summary", null, `retrieved turns, best first (${grouped(retrieved.length)})`), list);
      inner.addEventListener("toggle", () => {
        if (list.childElementCount) return;
        const wanted = new Set(ids);
        list.append(...retrieved.map((id) => el("li", { class: wanted.has(id) ? "there" : null }, wanted.has(id) ? "✓ " : "", bdi(more.texts[id]))));
      });
      parts.push(inner);
    }
    return parts;
  }

  function context(number, question, cut, more) {
    if (number === -1) return [];
    if (number === -2) return [el("p", { class: "part" }, "The context is left out of this file for its size; the run's folder holds it.")];
    const numbers = more.contexts[number], marked = new Set(more.marked[question]);
    const found = numbers.filter((n) => marked.has(n)).length;
    const box = el("div", { class: "context", tabindex: "0", role: "region", "aria-label": "Context" });
    const title = `context as it was sent${cut ? ", its end cut off" : ""}${found ? ` (${found} ${found === 1 ? "line" : "lines"} of evidence marked)` : ""}`;
    const inner = el("details", { class: "part" }, el("summary", null, title), box);
    inner.addEventListener("toggle", () => {
      if (box.childElementCount) return;
      const empty = numbers.length === 1 && more.lines[numbers[0]] === "";
      box.append(...numbers.map((n) => el("p", { class: marked.has(n) ? "evidence" : null },
        marked.has(n) ? el("span", { class: "unseen" }, "evidence: ") : null, bdi(empty ? "(nothing)" : more.lines[n]))));
      box.querySelector(".evidence")?.scrollIntoView({ block: "nearest" });
    });
    return [inner];
  }

  // --- the controls ----------------------------------------------------------------------------------------------

  function options(id, every, labels) {
    const of = labels.map((label, number) => el("option", { value: String(number) }, brief(label, 60)));
    $(id).replaceChildren(...(every === null ? [] : [el("option", { value: "" }, every)]), ...of);
  }

  function controls() {
    options("backend", "any", data.backends);
    options("category", "all", data.categories);
    options("cause", "any", data.causes);
    $("cause-label").hidden = data.causes.length === 0;
    const seen = new Set(data.answers.flatMap((answers) => [...new Set(answers.outcome)]));
    $("outcome").replaceChildren(el("option", { value: "" }, "any"),
      ...["r", "w", "e", "n"].filter((is) => seen.has(is)).map((is) => el("option", { value: is }, OUTCOMES[is][1])));
    if (data.backends.length > 1) {
      options("first", null, data.backends);
      options("second", null, data.backends);
      [$("first").value, $("second").value] = data.pair.map(String);
      for (const id of ["first", "second"]) $(id).addEventListener("change", () => { pairs(); filter(); });
      $("flips").hidden = false;
      pairs();
    } else {
      options("first", null, data.backends);
      options("second", null, data.backends);
    }
    for (const id of ["backend", "category", "outcome", "cause"]) $(id).addEventListener("change", filter);
    $("search").addEventListener("input", filter);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", () => {
      const kept = [$("first").value, $("second").value];
      pair = "all";
      setTimeout(() => { // after the fields are empty
        [$("first").value, $("second").value] = kept;
        if (data.backends.length > 1) pairs();
        filter();
      });
    });
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    $("rows").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !open) return;
      const { button } = open;
      close();
      button.focus();
    });
    $("head").replaceChildren(el("tr", null, el("th", { scope: "col", class: "q" }, "question"), el("th", { scope: "col", class: "cat" }, "category"),
      ...data.backends.map((label) => el("th", { scope: "col", class: "ans" }, bdi(brief(label, 60))))));
  }

  async function start() {
    theme();
    if (!$("browser")) return;
    if (typeof DecompressionStream === "undefined") {
      $("trouble").textContent = "This browser is too old for the question table; everything else on this page can be read.";
      return;
    }
    data = await unpacked("table-data");
    controls();
    filter();
    $("browser").hidden = false;
    document.documentElement.dataset.ready = "yes";
  }
  start();
})();
