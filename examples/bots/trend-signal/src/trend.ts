/** The arithmetic of the bot, apart from everything it talks to. */

export type Direction = "up" | "down";

/** The mean of the last `count` prices; undefined while there are fewer. */
export function average(prices: readonly number[], count: number): number | undefined {
  if (prices.length < count) return undefined;
  return prices.slice(-count).reduce((sum, price) => sum + price, 0) / count;
}

/** Where the short average stands to the long one; undefined while one is missing. */
export function direction(
  prices: readonly number[],
  short: number,
  long: number,
): Direction | undefined {
  const [fast, slow] = [average(prices, short), average(prices, long)];
  if (fast === undefined || slow === undefined || fast === slow) return undefined;
  return fast > slow ? "up" : "down";
}

/** One step of a random walk; never below a cent. */
export function nextPrice(price: number): number {
  const change = (Math.random() + Math.random() - 1) * 0.004;
  return Math.max(0.01, Math.round(price * (1 + change) * 100) / 100);
}
