/** A bot that never ends: follows a simulated price and signals when two averages cross. */

import { setTimeout as pause } from "node:timers/promises";

import { log, metric, state } from "the0-sdk";

import { direction, nextPrice, type Direction } from "./trend.js";

interface Config {
  symbol: string;
  start_price?: number;
  short?: number;
  long?: number;
  interval_sec?: number;
}

export async function main(botId: string, config: Config): Promise<void> {
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  const { symbol, start_price = 2400, short = 5, long = 20, interval_sec = 1 } = config;
  // Without a state there was no earlier run: begin where the configuration says.
  const prices = state.get<number[]>("prices", [start_price]);
  let known = state.get<Direction>("direction");
  log("following", { bot: botId, symbol, prices: prices.length });

  while (!stop.signal.aborted) {
    // A stop ends the pause early; that is no fault.
    await pause(interval_sec * 1000, undefined, { signal: stop.signal }).catch(() => {});
    prices.push(nextPrice(prices.at(-1) ?? start_price));
    prices.splice(0, prices.length - long);
    state.set("prices", prices);
    log("tick", { symbol, price: prices.at(-1) });
    const now = direction(prices, short, long);
    if (now && now !== known) {
      known = now;
      state.set("direction", now);
      state.set("signals", state.get<number>("signals", 0) + 1);
      metric("signal", { symbol, direction: now, price: prices.at(-1) });
    }
  }
  log("stopping", { symbol, prices: prices.length });
}
