// A memory on a server, for Node 18 or newer without packages: it finds turns by the words that they share with the question.
// TypeScript checks it as it is: npx tsc --noEmit --checkJs --allowJs --module nodenext memory_server.mjs
//
//   node docs/examples/remote/memory_server.mjs 9000
//   engram-eval run --dataset synthetic --limit 20 --backend http://localhost:9000 --set words.most=50
// @ts-check
import { createServer } from "node:http";

/** @typedef {{text: string, turn_ids: string[], score?: number, date: string | null}} Hit */
/** @typedef {{id: string, started_at: string | null, turns: {id: string, speaker: string, text: string}[]}} Session */
/** @typedef {{most: number, hits: Hit[]}} Memory */

const INFO = { protocol: 1, name: "words", version: "1", settings: { most: 100 } };

/** @type {Map<string, Memory>} */
const memories = new Map();

/** @param {string} text */
const words = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}_]{3,}/gu) ?? []);

/** @param {Memory} memory @param {Session} session */
function ingest(memory, session) {
  for (const turn of session.turns) {
    memory.hits.push({ text: `${turn.speaker}: ${turn.text}`, turn_ids: [turn.id], date: session.started_at });
  }
}

/** @param {Memory} memory @param {string} query */
function retrieve(memory, query) {
  const asked = words(query);
  const scored = memory.hits.map((hit) => ({ ...hit, score: [...words(hit.text)].filter((word) => asked.has(word)).length }));
  scored.sort((one, other) => other.score - one.score);
  return scored.slice(0, memory.most).filter((hit) => hit.score > 0);
}

/** @param {string} id @param {string} name @param {any} message @returns {[number, object]} */
function answer(id, name, message) {
  if (name === "open") {
    memories.set(id, { most: Number(message.settings.most ?? INFO.settings.most), hits: [] });
    return [200, {}];
  }
  if (name === "close") {
    memories.delete(id);
    return [200, {}];
  }
  const memory = memories.get(id);
  if (!memory) return [404, { error: `no memory ${id} is open` }];
  if (name === "ingest") ingest(memory, message.session);
  if (name === "retrieve") return [200, { hits: retrieve(memory, message.query) }];
  return [200, {}];
}

const server = createServer(async (request, response) => {
  /** @param {number} status @param {object} fields */
  const reply = (status, fields) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(fields));
  };
  try {
    if (request.method === "GET" && request.url === "/v1/info") return reply(200, INFO);
    const parts = /^\/v1\/memories\/([\w-]+)\/(open|ingest|ready|retrieve|close)$/.exec(request.url ?? "");
    if (!parts) return reply(404, { error: `there is no ${request.url}` });
    let body = "";
    request.setEncoding("utf-8");
    for await (const part of request) body += part;
    return reply(...answer(parts[1], parts[2], JSON.parse(body)));
  } catch (error) {
    return reply(400, { error: String(error) });
  }
});

server.listen(Number(process.argv[2] ?? 9000), "127.0.0.1", () => {
  const address = server.address();
  console.log(`http://localhost:${address && typeof address === "object" ? address.port : ""}`);
});
