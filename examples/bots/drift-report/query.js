"use strict";
/** What can be asked about the reports; runs once for each question. */

const { query, state } = require("the0-sdk");

query.handler("/latest", () => state.get("history", []).at(-1) ?? null);

/** The drift of one asset over time: the parameter `asset`. */
query.handler("/drift", (request) => {
  const asset = request.get("asset", "BTC");
  const reports = state.get("history", []);
  return reports.map(({ at, drift }) => ({ at, points: drift[asset] ?? null }));
});

query.run();
