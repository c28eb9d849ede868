"use strict";
/** The parameters of a query, from a body, from a variable, or none. */

const json = require("./json.js");

/** The JSON object that `text` holds, or an empty one for anything else. */
function readParams(text) {
  return orEmpty(() => json.parseNumbers(text, "query parameter ", "Send it as text to keep it."));
}

/** The object that `read` gives; an empty one where it gives something else or throws. */
function orEmpty(read) {
  try {
    const value = read();
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

module.exports = { orEmpty, readParams };
