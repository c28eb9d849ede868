"use strict";
/** The HTTP server of a query process. */

const http = require("node:http");

const { log } = require("./output.js");
const { readParams } = require("./params.js");

const MAX_CONNECTIONS = 256;
const MAX_BODY_BYTES = 1024 * 1024;
const SILENCE_MS = 30_000;

/**
 * Answer GET and POST on `port` by `answer(path, params)` until the process ends.
 *
 * The promise is kept once the server listens, and broken for a port that is taken.
 */
function serve(port, answer) {
  const server = http.createServer((request, response) => {
    // What rejects is a client that went away; handlers' errors are answers.
    respond(request, response, answer).catch(() => response.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = SILENCE_MS;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "0.0.0.0", () => {
      log(`Query server started on port ${server.address().port}`);
      resolve();
    });
  });
}

async function respond(request, response, answer) {
  const [path, search] = split(request.url);
  if (request.method !== "GET" && request.method !== "POST") {
    refuse(response, 405, `${request.method} is not answered: use GET or POST`);
    return;
  }
  const body = await readBody(request);
  if (body === undefined) {
    refuse(response, 413, `the body is over ${MAX_BODY_BYTES} bytes`);
    return;
  }
  const params = { ...Object.fromEntries(new URLSearchParams(search)), ...readParams(body) };
  const { status, body: content } = await answer(decoded(path), params);
  send(response, status, content);
}

/** The body as text; undefined when it is too long. Rejects for one that breaks off. */
async function readBody(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function refuse(response, status, error) {
  // What is left of the body is not read, so the connection cannot be used again.
  response.setHeader("Connection", "close");
  send(response, status, JSON.stringify({ status: "error", error }));
}

function send(response, status, body) {
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  response.writeHead(status, headers);
  response.end(body);
}

function split(target) {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

module.exports = { serve };
