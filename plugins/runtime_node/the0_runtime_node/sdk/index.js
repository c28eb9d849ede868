"use strict";
/** The SDK for bots, as CommonJS. */

const { parse, success, error, result, metric, log, sleep } = require("./output.js");
const query = require("./query.js");
const { serveReadOnly, ...state } = require("./state.js");

const sdk = { parse, success, error, result, metric, log, sleep, state, query };

// What compiled TypeScript asks for as `default` is the same object.
Object.defineProperty(sdk, "__esModule", { value: true });
Object.defineProperty(sdk, "default", { value: sdk });

module.exports = sdk;
