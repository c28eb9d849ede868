/** The SDK for bots. */

/** The bot's id and its configuration. */
export interface BotInput<T = Record<string, unknown>> {
  id: string;
  config: T;
}

/** How a run ended, as `success` and `error` write it. */
export interface BotResult {
  status: "success" | "error";
  message: string;
  data?: Record<string, unknown>;
}

export type LogLevel = "info" | "warn" | "error";

/** How JSON is read: with `exact`, integers that a number cannot hold come as BigInt. */
export interface ReadOptions {
  exact?: boolean;
}

/** Id and configuration; throws when one is missing or the configuration is not JSON. */
export function parse<T = Record<string, unknown>>(options?: ReadOptions): BotInput<T>;

/** End result of this run: it went well. */
export function success(message: string, data?: Record<string, unknown>): void;

/** End result of this run: it failed. Logs `message` and ends the process with code 1. */
export function error(message: string, data?: Record<string, unknown>): never;

/** End result of this run, in a form of your own; the last call counts. */
export function result(data: Record<string, unknown>): void;

/** Emit one metric: a JSON line on stdout with `type` as its `_metric`. */
export function metric(type: string, data: Record<string, unknown>): void;

/** Log one JSON line on stderr. */
export function log(
  message: string,
  dataOrLevel?: Record<string, unknown> | LogLevel,
  level?: LogLevel,
): void;

/** Wait `ms` milliseconds. */
export function sleep(ms: number): Promise<void>;

/** What a bot keeps between runs: one JSON file per key. */
export namespace state {
  /** A query tried to change the bot's state. */
  class ReadOnlyStateError extends Error {}

  /** A state file holds something that is not JSON; the message names the file. */
  class CorruptStateError extends Error {}

  /** The value stored under `key`, or `defaultValue` when there is none. */
  function get<T>(key: string, defaultValue: T, options?: ReadOptions): T;
  function get<T>(key: string, defaultValue?: T, options?: ReadOptions): T | undefined;

  /** Store `value` (anything that JSON can hold, and BigInts): complete or not at all. */
  function set<T>(key: string, value: T): void;

  /** Remove `key`; says whether it existed. */
  function remove(key: string): boolean;
  export { remove as delete };

  /** All keys, sorted. */
  function list(): string[];

  /** Remove all keys. */
  function clear(): void;

  /** Whether something is stored under `key`. */
  function exists(key: string): boolean;

  export {
    CorruptStateError,
    ReadOnlyStateError,
    clear,
    exists,
    get,
    list,
    remove,
    set,
  };
}

/** Answers to questions about a bot: functions by path. */
export namespace query {
  /** What a handler is given; parameters from a URL are all strings. */
  interface QueryRequest {
    path: string;
    params: Record<string, any>;
    get(key: string, defaultValue?: any): any;
  }

  /** Returns what JSON can hold, or a promise of it. */
  type QueryHandler = (request: QueryRequest) => unknown;

  /** A query tried to change the bot's state. */
  class ReadOnlyStateError extends Error {}

  /** `fn` answers `path`. */
  function handler(path: string, fn: QueryHandler): void;

  /** The parameters of the query being answered (a copy). */
  function getParams(): Record<string, any>;

  /** The bot's configuration (a copy); empty before `run`. */
  function getConfig(): Record<string, unknown>;

  /** Whether this process was started to answer one query. */
  function isQueryMode(): boolean;

  /** Answer queries: one into `/query/result.json` with `QUERY_PATH` set, else over HTTP. */
  function run(): Promise<void>;

  export {
    QueryHandler,
    QueryRequest,
    ReadOnlyStateError,
    getConfig,
    getParams,
    handler,
    isQueryMode,
    run,
  };
}

declare const sdk: {
  parse: typeof parse;
  success: typeof success;
  error: typeof error;
  result: typeof result;
  metric: typeof metric;
  log: typeof log;
  sleep: typeof sleep;
  state: typeof state;
  query: typeof query;
};
export default sdk;
