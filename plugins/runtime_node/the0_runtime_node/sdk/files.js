"use strict";
/** Files that are either old or new, never half written. */

const fs = require("node:fs");
const path = require("node:path");
const { threadId } = require("node:worker_threads");

/**
 * Replace the file at `target` by `text` in one step, on disk before it is visible.
 *
 * Throws what `fs` throws; the old content, if any, is then still there.
 */
function writeWhole(target, text) {
  // Named after process and thread: a file left by a kill is written over, they never pile up.
  const name = `.the0-${process.pid}-${threadId}.tmp`;
  const scratch = path.join(path.dirname(target), name);
  try {
    fs.writeFileSync(scratch, text, { flush: true });
    fs.renameSync(scratch, target);
  } catch (fault) {
    fs.rmSync(scratch, { force: true });
    throw fault;
  }
}

/** Remove a file; says whether it existed. */
function removeIfThere(target) {
  try {
    fs.unlinkSync(target);
    return true;
  } catch (fault) {
    if (fault.code === "ENOENT") return false;
    throw fault;
  }
}

module.exports = { writeWhole, removeIfThere };
