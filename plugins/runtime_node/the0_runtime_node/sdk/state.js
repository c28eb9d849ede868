"use strict";
/**
 * What a bot keeps between runs: one JSON file per key in `STATE_DIR`, in the format of every
 * SDK of the platform.
 *
 * The platform stores the folder while the bot runs and when it ends, and brings it back at the
 * next start. A write is complete or did not happen. Queries may read and not write.
 */

const fs = require("node:fs");
const path = require("node:path");

const files = require("./files.js");
const json = require("./json.js");

const SUFFIX = ".json";
let served = false;

/** A query tried to change the bot's state. */
class ReadOnlyStateError extends Error {
  name = "ReadOnlyStateError";
}

/** A state file holds something that is not JSON; the message names the file. */
class CorruptStateError extends Error {
  name = "CorruptStateError";
}

/**
 * The value stored under `key`, or `defaultValue` when there is none.
 *
 * With `exact`, integers that a number cannot hold come as BigInt. Throws for an impossible key,
 * and CorruptStateError for a file that is not JSON: going on with a default would write over
 * what may still be rescued.
 */
function get(key, defaultValue, { exact = false } = {}) {
  const file = fileOf(key);
  const text = read(file);
  if (text === undefined) return defaultValue;
  try {
    if (exact) return json.parseExact(text);
    const remedy = "state.get(key, default, { exact: true }) gives it as a BigInt.";
    return json.parseNumbers(text, `state ${key}`, remedy);
  } catch (fault) {
    if (!(fault instanceof SyntaxError)) throw fault;
    throw new CorruptStateError(
      `the state of key ${JSON.stringify(key)} is not JSON; repair or remove ${file}`,
    );
  }
}

/**
 * Store `value` (anything that JSON can hold, and BigInts) under `key`.
 *
 * Throws TypeError for what JSON cannot hold, before anything is written, and ReadOnlyStateError
 * in a query.
 */
function set(key, value) {
  requireWritable();
  const file = fileOf(key);
  const text = json.stringify(value);
  if (text === undefined) throw new TypeError(`JSON cannot hold ${typeof value} (state ${key})`);
  fs.mkdirSync(folder(), { recursive: true });
  files.writeWhole(file, text);
}

/** Remove `key`; says whether it existed. Throws ReadOnlyStateError in a query. */
function remove(key) {
  requireWritable();
  return files.removeIfThere(fileOf(key));
}

/** All keys, sorted. */
function list() {
  return names()
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .sort();
}

/** Remove all keys. Throws ReadOnlyStateError in a query. */
function clear() {
  requireWritable();
  for (const key of list()) files.removeIfThere(path.join(folder(), key + SUFFIX));
}

/** Whether something is stored under `key`. */
function exists(key) {
  return fs.existsSync(fileOf(key));
}

/** Refuse changes in this process from now on: it answers queries. */
function serveReadOnly() {
  served = true;
}

function read(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (fault) {
    if (fault.code === "ENOENT") return undefined;
    throw fault;
  }
}

function names() {
  try {
    return fs.readdirSync(folder());
  } catch (fault) {
    if (fault.code === "ENOENT") return [];
    throw fault;
  }
}

function folder() {
  return process.env.STATE_DIR || "/state/.the0-state";
}

function fileOf(key) {
  if (!key) throw new RangeError("a state key must not be empty");
  if (/[/\\\0]|\.\./.test(key)) {
    const shown = JSON.stringify(key);
    throw new RangeError(`the state key ${shown} must not contain '/', '\\', '..' or a NUL`);
  }
  return path.join(folder(), key + SUFFIX);
}

function requireWritable() {
  if (served || process.env.QUERY_PATH !== undefined) {
    throw new ReadOnlyStateError("a query may only read state; change it in the bot itself");
  }
}

module.exports = {
  CorruptStateError,
  ReadOnlyStateError,
  clear,
  delete: remove,
  exists,
  get,
  list,
  remove,
  serveReadOnly,
  set,
};
