"use strict";
/**
 * Runs a Node.js bot in its container: loads the entrypoint, calls its main, tells how it ended.
 *
 * It listens to no signal: SIGTERM is the bot's own, and ends the process where the bot has no
 * handler. The script's place in process.argv stays this file's, so that a bot which runs itself
 * when it is the program does not run twice.
 */

const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { inspect } = require("node:util");

const { readConfig, writeAtOnce } = require("./sdk/output.js");

/** Node's own code for a program whose top level waits for what never comes. */
const UNFINISHED = 13;

/** The file that tells how the run ended. One that came with the code is not this run's. */
class Result {
  constructor(file) {
    this.file = file;
    this.attempt(() => fs.rmSync(file, { force: true }));
  }

  /** Write the outcome; the bot's own result wins. */
  unlessWritten(outcome) {
    if (fs.existsSync(this.file)) return;
    const scratch = `${this.file}.tmp`;
    this.attempt(() => {
      fs.writeFileSync(scratch, JSON.stringify(outcome));
      fs.renameSync(scratch, this.file);
    });
  }

  attempt(write) {
    try {
      write();
    } catch (fault) {
      console.error(`RESULT_ERROR: ${this.file} could not be written: ${fault.message}`);
    }
  }
}

/** Run the bot that the environment describes. */
function main() {
  const folder = `/${(process.env.CODE_MOUNT_DIR || "bot").replace(/^\/+|\/+$/g, "")}`;
  const script = process.env.SCRIPT_PATH || "main.js";
  const result = new Result(path.join(folder, "result.json"));
  let failure;

  writeAtOnce();
  process.on("uncaughtExceptionMonitor", (fault) => (failure = describe(fault)));
  process.on("exit", (code) => {
    if (code === 0) result.unlessWritten({ status: "success", message: "the bot's main returned" });
    else result.unlessWritten({ status: "error", message: failure ?? `exit code ${code}` });
  });
  process.once("beforeExit", () => {
    failure = `main of ${script} waits for something that never comes`;
    console.error(failure);
    process.exit(UNFINISHED);
  });
  // What main returns early is the end: timers and connections that it left behind go with it.
  run(folder, script).then(
    () => process.exit(),
    (fault) => {
      failure = describe(fault);
      console.error(inspect(fault));
      process.exit(1);
    },
  );
}

async function run(folder, script) {
  const start = findMain(await load(path.join(folder, script)));
  if (!start) {
    throw new Error(`${script} exports no function main(botId, config), which the platform calls`);
  }
  await start(process.env.BOT_ID ?? "", readConfig(false));
}

/** Import a file, whichever kind of module it is. */
async function load(file) {
  try {
    return await import(pathToFileURL(file));
  } catch (fault) {
    // Only Node's own words for what nobody catches say where the mistake is.
    if (fault instanceof SyntaxError) return endUncaught(fault);
    throw fault;
  }
}

/** `main`, `default`, or the module itself; a CommonJS module is the `default` of its import. */
function findMain(module) {
  const whole = module.default;
  const candidates = [module.main, whole?.main, whole?.default, whole];
  return candidates.find((one) => typeof one === "function");
}

/** End as Node ends for what nobody catches, whatever handlers the bot has left. */
function endUncaught(fault) {
  process.removeAllListeners("uncaughtException");
  process.setUncaughtExceptionCaptureCallback(null);
  process.nextTick(() => {
    throw fault;
  });
  return new Promise(() => {});
}

function describe(fault) {
  return String(fault?.message || fault?.name || fault);
}

main();
