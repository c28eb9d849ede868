"use strict";
/** A bot that runs and ends: compares a simulated portfolio with its target weights. */

const { log, metric, state, success } = require("the0-sdk");

/** Shares in percent after a week in which each price moved by up to a tenth. */
function drifted(targets) {
  const moved = Object.entries(targets).map(([asset, share]) => {
    return [asset, share * (0.9 + Math.random() * 0.2)];
  });
  const total = moved.reduce((sum, [, value]) => sum + value, 0);
  return Object.fromEntries(moved.map(([asset, value]) => [asset, (value / total) * 100]));
}

/** How far each asset's share is from its target, in percentage points. */
function drift(targets, shares) {
  const total = Object.values(targets).reduce((sum, share) => sum + share, 0);
  const points = (asset) => shares[asset] - (targets[asset] / total) * 100;
  return Object.fromEntries(
    Object.keys(targets).map((asset) => [asset, Math.round(points(asset) * 100) / 100]),
  );
}

async function main(botId, config) {
  const { targets, tolerance_percent: tolerance = 2, keep_reports: keep = 30 } = config;
  const now = drift(targets, drifted(targets));
  const trade = Object.keys(now).filter((asset) => Math.abs(now[asset]) > tolerance);
  const report = { at: new Date().toISOString(), drift: now, trade };
  const history = [...state.get("history", []), report].slice(-keep);
  state.set("history", history);

  log("report", { bot: botId, ...report });
  for (const [asset, points] of Object.entries(now)) metric("drift", { asset, points });
  success(`${trade.length} to trade`, { reports: history.length, ...report });
}

module.exports = { main };
