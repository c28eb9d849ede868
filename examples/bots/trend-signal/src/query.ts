/** What can be asked about the bot while it runs. */

import { query, state } from "the0-sdk";

import { average } from "./trend.js";

query.handler("/trend", () => ({
  symbol: query.getConfig().symbol,
  price: state.get<number[]>("prices", []).at(-1),
  direction: state.get("direction", null),
  signals: state.get("signals", 0),
}));

/** The mean of the last `count` prices, 10 unless told. */
query.handler("/average", (request) => {
  const count = Math.max(1, Number(request.get("count", 10)));
  return { count, average: average(state.get<number[]>("prices", []), count) ?? null };
});

query.run();
