"use strict";
/**
 * JSON between languages: integers of any size, and what Python writes for floats that are none.
 *
 * An integer that JavaScript would write with other digits is read as a BigInt on demand, and
 * otherwise rounded with a word about it in the log: a silent change of an order's number would be
 * worse.
 */

const { randomUUID } = require("node:crypto");

const LITERAL = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity/g;
const INTEGER = /^-?\d+$/;
const MAY_HOLD_LARGE = /\d{16}/;
const MAY_HOLD_ODD = /NaN|Infinity/;

const warned = new Set();

/**
 * The value of JSON text, with a BigInt for each integer that a number would change.
 *
 * Throws SyntaxError for text that is not JSON; NaN and Infinity are taken, as Python writes them.
 */
function parseExact(text) {
  if (!MAY_HOLD_LARGE.test(text) && !MAY_HOLD_ODD.test(text)) return JSON.parse(text);
  // A string that no value can have by chance stands for what JSON.parse would change or refuse.
  const mark = randomUUID();
  const marked = outsideStrings(text, (piece) =>
    piece.replace(LITERAL, (literal) =>
      isChanged(literal) || isOdd(literal) ? `"${mark}${literal}"` : literal,
    ),
  );
  return JSON.parse(marked, (_key, value) => {
    if (typeof value !== "string" || !value.startsWith(mark)) return value;
    const literal = value.slice(mark.length);
    return isOdd(literal) ? Number(literal) : BigInt(literal);
  });
}

/**
 * The value of JSON text with numbers only. Integers that are changed by this are named once for
 * each `source` (what was read, in words) in a warning that `remedy` ends.
 */
function parseNumbers(text, source, remedy) {
  const exact = parseExact(text);
  const changed = [...largeIntegers(exact, "")];
  if (changed.length === 0) return exact;
  if (!warned.has(source)) {
    warned.add(source);
    warn(source, changed, remedy);
  }
  return rounded(exact);
}

/** JSON text of `value`, its BigInts as integers; undefined for what JSON does not know. */
function stringify(value) {
  let mark;
  const text = JSON.stringify(value, (_key, one) => {
    if (typeof one !== "bigint") return one;
    mark ??= randomUUID();
    return `${mark}${one}`;
  });
  return mark ? text.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1") : text;
}

/** JSON text with `change` made of all that is in no string. A regular expression for strings
 * would overflow the stack at one of some MiB. */
function outsideStrings(text, change) {
  const pieces = [];
  for (let at = 0; at < text.length; ) {
    const begin = text.indexOf('"', at);
    if (begin < 0) return pieces.join("") + change(text.slice(at));
    const end = endOfString(text, begin);
    pieces.push(change(text.slice(at, begin)), text.slice(begin, end));
    at = end;
  }
  return pieces.join("");
}

function endOfString(text, begin) {
  let end = begin;
  do {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
  } while (isEscaped(text, end));
  return end + 1;
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text, at) {
  let first = at;
  while (text[first - 1] === "\\") first -= 1;
  return (at - first) % 2 === 1;
}

function isOdd(literal) {
  return literal === "NaN" || literal.endsWith("Infinity");
}

/** Whether JavaScript would write another integer than it has read. */
function isChanged(literal) {
  return literal.length >= 16 && INTEGER.test(literal) && String(Number(literal)) !== literal;
}

/** Path and value of every BigInt in `value`. */
function* largeIntegers(value, path) {
  if (typeof value === "bigint") yield [path, value];
  if (value === null || typeof value !== "object") return;
  for (const [key, one] of Object.entries(value)) {
    yield* largeIntegers(one, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
  }
}

function rounded(value) {
  if (typeof value === "bigint") return Number(value);
  if (value === null || typeof value !== "object") return value;
  for (const key of Object.keys(value)) value[key] = rounded(value[key]);
  return value;
}

function warn(source, changed, remedy) {
  const [path, value] = changed[0];
  const others = changed.length > 1 ? ` (and ${changed.length - 1} more)` : "";
  const message =
    `${source}${path} is ${value}, which a JavaScript number cannot hold: ` +
    `it is read as ${Number(value)}${others}. ${remedy}`;
  console.error(JSON.stringify({ level: "warn", message, timestamp: new Date().toISOString() }));
}

module.exports = { parseExact, parseNumbers, stringify };
