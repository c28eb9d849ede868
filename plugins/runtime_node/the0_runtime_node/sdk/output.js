"use strict";
/** What a bot reads at its start and what it tells the platform: result, metrics, log lines. */

const files = require("./files.js");
const json = require("./json.js");

/**
 * The bot's id and its configuration, from `BOT_ID` and `BOT_CONFIG`.
 *
 * With `exact`, integers that a number cannot hold come as BigInt; without, they are rounded and a
 * warning names them. Throws when one is missing or the configuration is not JSON.
 */
function parse({ exact = false } = {}) {
  const id = process.env.BOT_ID;
  if (!id) throw new Error("BOT_ID is not set; the platform sets it, set it yourself elsewhere");
  if (!process.env.BOT_CONFIG) {
    throw new Error("BOT_CONFIG is not set; it holds the bot's configuration as JSON");
  }
  return { id, config: readConfig(exact) };
}

/** The configuration alone; an empty one where there is none. */
function readConfig(exact) {
  const text = process.env.BOT_CONFIG || "{}";
  try {
    if (exact) return json.parseExact(text);
    return json.parseNumbers(text, "BOT_CONFIG", "parse({ exact: true }) gives it as a BigInt.");
  } catch {
    // The parser's own words quote the text, which may hold keys of an exchange.
    throw new Error("BOT_CONFIG is not JSON");
  }
}

/** End result of this run: it went well. `data` is added when there is any. */
function success(message, data) {
  result(outcome("success", message, data));
}

/** End result of this run: it failed. Logs `message` and ends the process with code 1. */
function error(message, data) {
  result(outcome("error", message, data));
  log(message, "error");
  process.exit(1);
}

/**
 * End result of this run, in a form of your own; the last call counts.
 *
 * What cannot be written is told on stderr and does not stop the bot.
 */
function result(data) {
  const path = resultPath();
  try {
    files.writeWhole(path, json.stringify(data));
  } catch (fault) {
    console.error(`RESULT_ERROR: ${path} could not be written: ${fault.message}`);
  }
}

/** Emit one metric: a JSON line on stdout with `type` as its `_metric`. */
function metric(type, data) {
  console.log(json.stringify({ _metric: type, ...data, timestamp: now() }));
}

/**
 * Log one JSON line on stderr: `log("text")`, `log("text", "warn")`, `log("text", { order: 7 })`
 * or `log("text", { order: 7 }, "error")`.
 */
function log(message, dataOrLevel, level) {
  const plain = typeof dataOrLevel === "string";
  const fields = plain ? {} : dataOrLevel;
  const chosen = plain ? dataOrLevel : level;
  console.error(json.stringify({ level: chosen || "info", message, ...fields, timestamp: now() }));
}

/** Wait `ms` milliseconds. */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Make stdout and stderr wait for whoever reads them, as in other languages. By default Node.js
 * queues what a full pipe does not take, and the end of the process throws the queue away.
 */
function writeAtOnce() {
  for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);
}

/** Where the run's result lies: `/<CODE_MOUNT_DIR>/result.json`. */
function resultPath() {
  return `/${process.env.CODE_MOUNT_DIR || "bot"}/result.json`;
}

function outcome(status, message, data) {
  const some = data && Object.keys(data).length > 0;
  return some ? { status, message, data } : { status, message };
}

function now() {
  return new Date().toISOString();
}

module.exports = {
  parse,
  readConfig,
  success,
  error,
  result,
  metric,
  log,
  sleep,
  resultPath,
  writeAtOnce,
};
