"use strict";
/**
 * Answers to questions about a bot: functions by path, served or asked once.
 *
 *     const { query, state } = require("the0-sdk");
 *     query.handler("/positions", () => state.get("positions", []));
 *     query.run();
 *
 * With `QUERY_PATH` set, `run` answers that path into `/query/result.json` and ends the process
 * (with code 1 for an error). For a realtime bot it serves HTTP on `THE0_QUERY_PORT` for ever.
 */

const { AsyncLocalStorage } = require("node:async_hooks");

const files = require("./files.js");
const json = require("./json.js");
const { readConfig, writeAtOnce } = require("./output.js");
const { orEmpty, readParams } = require("./params.js");
const state = require("./state.js");

const RESULT_PATH = "/query/result.json";

const handlers = new Map();
const current = new AsyncLocalStorage();
let config = {};

/** What a handler is given: the path asked for and its parameters (from a URL all strings). */
class QueryRequest {
  constructor(path, params) {
    this.path = path;
    this.params = params;
  }

  /** One parameter, or `defaultValue`. */
  get(key, defaultValue) {
    return Object.hasOwn(this.params, key) ? this.params[key] : defaultValue;
  }
}

/** `fn` answers `path`. What it returns, or its promise gives, must be JSON. */
function handler(path, fn) {
  handlers.set(path, fn);
}

/** The parameters of the query being answered (a copy). */
function getParams() {
  return { ...current.getStore() };
}

/** The bot's configuration (a copy); empty before `run`. */
function getConfig() {
  return { ...config };
}

/** Whether this process was started to answer one query. */
function isQueryMode() {
  return process.env.QUERY_PATH !== undefined;
}

/** Answer queries, in the way that the environment asks for (see above). */
async function run() {
  writeAtOnce();
  config = orEmpty(() => readConfig(false));
  addBuiltIn("/health", () => ({ status: "ok" }));
  addBuiltIn("/info", () => ({ available_queries: [...handlers.keys()] }));
  const path = process.env.QUERY_PATH;
  if (path || process.env.BOT_TYPE !== "realtime") {
    await answerOnce(path || "/info");
    return;
  }
  state.serveReadOnly();
  // Only here: a bot that loads the SDK must not pay for an HTTP server.
  const { serve } = require("./server.js");
  await serve(Number(process.env.THE0_QUERY_PORT || 9476), answer);
}

/** Call the handler of `path`: an HTTP status and the body, whatever the handler does. */
async function answer(path, params) {
  const fn = handlers.get(path);
  if (fn === undefined) {
    const error = `No handler for path: ${path}`;
    return reply(404, { status: "error", error, available: [...handlers.keys()] });
  }
  try {
    const data = await current.run(params, () => fn(new QueryRequest(path, params)));
    return reply(200, { status: "ok", data: data ?? null });
  } catch (fault) {
    console.error(fault);
    return reply(500, { status: "error", error: String(fault?.message ?? fault) });
  }
}

function reply(status, body) {
  return { status, body: json.stringify(body) };
}

function addBuiltIn(path, fn) {
  if (!handlers.has(path)) handlers.set(path, fn);
}

async function answerOnce(path) {
  const { status, body } = await answer(path, readParams(process.env.QUERY_PARAMS || "{}"));
  try {
    files.writeWhole(RESULT_PATH, body);
  } catch (fault) {
    console.error(`RESULT_ERROR: ${RESULT_PATH} could not be written: ${fault.message}`);
    process.exit(1);
  }
  // A connection that the handler left open must not hold the answer back.
  process.exit(status === 200 ? 0 : 1);
}

module.exports = {
  QueryRequest,
  ReadOnlyStateError: state.ReadOnlyStateError,
  getConfig,
  getParams,
  handler,
  isQueryMode,
  run,
};
