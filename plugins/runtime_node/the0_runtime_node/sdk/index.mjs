/** The SDK for bots, as an ES module: the same objects as in CommonJS. */

import sdk from "./index.js";

export const { parse, success, error, result, metric, log, sleep, state, query } = sdk;
export default sdk;
