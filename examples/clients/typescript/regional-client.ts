// A client that outlasts the loss of an AWS Region: copy this file; it needs Node 22 and ky 2.
//
//     const api = await discover("https://weather.example.com/v1", { "x-api-key": key });
//     console.log(await api.get("weather/amsterdam").json());
//
// It calls the common name, which DNS fails over within minutes. What fails there is repeated at
// once by the own name of a Region that has not failed, and later requests go there first, until
// the common name is tried again.

import ky, { type HTTPError, type KyInstance, isHTTPError, isNetworkError, isTimeoutError } from "ky";

/** Longest time for one attempt: DNS, connection, TLS, and the head of the response. */
export const ATTEMPT_SECONDS = 1;
export const ATTEMPTS = 4;
/** A retry waits for a random time from 0 to this, doubled with each retry up to the longest. */
export const FIRST_WAIT_SECONDS = 0.1;
export const LONGEST_WAIT_SECONDS = 1;
/** A 429 that asks for a longer wait, as one of an exhausted quota does, is an error at once. */
export const LONGEST_RETRY_AFTER_SECONDS = 5;
/** How long a Region that failed is avoided: longer than an idle connection to it is kept. */
export const RECOVERY_SECONDS = 30;
const FAILURES = [500, 502, 503, 504];

export interface Options {
  headers?: Record<string, string>;
  attemptSeconds?: number;
  recoverySeconds?: number;
}

/** Reads the Regions' own names from the API's OpenAPI document, once. */
export async function discover(common: string, headers: Record<string, string> = {}) {
  const document = await regionalClient(common, {})
    .get("openapi.json")
    .json<{ servers: { url: string }[] }>();
  const [first, ...own] = document.servers.map(({ url }) => url);
  const regions = own.map((url) => [new URL(url).hostname.split(".")[0], url] as const);
  return regionalClient(first ?? common, Object.fromEntries(regions), { headers });
}

/**
 * Calls an API by its common name (none: by the Regions' own names only), or by the own name of a
 * Region, `{region: URL}`, the first choice first. Only idempotent methods are repeated: not POST.
 */
export function regionalClient(
  common: string | undefined,
  regions: Record<string, string>,
  { headers = {}, attemptSeconds = ATTEMPT_SECONDS, recoverySeconds = RECOVERY_SECONDS }: Options = {},
): KyInstance {
  const servers = new Servers(common, regions, recoverySeconds);
  const gotNoResponse = (error: Error) => isNetworkError(error) || isTimeoutError(error);
  const isLimit = (error: Error): error is HTTPError =>
    isHTTPError(error) && error.response.status === 429;
  return ky.create({
    prefix: servers.urls[0],
    headers,
    timeout: attemptSeconds * 1000,
    retry: {
      limit: ATTEMPTS - 1,
      statusCodes: [429, ...FAILURES],
      afterStatusCodes: [429],
      delay: (retry) => FIRST_WAIT_SECONDS * 1000 * 2 ** (retry - 1),
      backoffLimit: LONGEST_WAIT_SECONDS * 1000,
      jitter: true, // full: clients that failed together do not return together
      retryOnTimeout: true,
      shouldRetry: ({ error }) =>
        isLimit(error) &&
        Number(error.response.headers.get("retry-after")) > LONGEST_RETRY_AFTER_SECONDS
          ? false
          : undefined,
    },
    hooks: {
      beforeRequest: [({ request }) => servers.moved(request)],
      afterResponse: [({ request, response }) => servers.responded(request, response)],
      beforeRetry: [
        ({ request, error }) => {
          if (isLimit(error)) return; // its time is over: once more in the same Region
          if (gotNoResponse(error)) servers.failed(request);
          return servers.moved(request);
        },
      ],
      beforeError: [
        ({ request, error }) => {
          if (gotNoResponse(error)) servers.failed(request);
          return error;
        },
      ],
    },
  });
}

/** Which server is called, by what became of requests. */
class Servers {
  readonly urls: string[];
  /** Region of each server; that of the common name is learned from its responses. */
  readonly #regions: Map<string, string>;
  /** Until when each server of a Region that failed is avoided. */
  readonly #avoided = new Map<string, number>();
  readonly #recoverySeconds: number;

  constructor(common: string | undefined, regions: Record<string, string>, recoverySeconds: number) {
    this.urls = [...(common ? [common] : []), ...Object.values(regions)];
    this.#regions = new Map(Object.entries(regions).map(([region, url]) => [url, region]));
    if (common) this.#regions.set(common, Object.keys(regions)[0] ?? "");
    this.#recoverySeconds = recoverySeconds;
  }

  async moved(request: Request): Promise<Request> {
    const url = this.#choose() + request.url.slice(this.#serverOf(request).length);
    const { method, headers, signal } = request;
    // As a whole: a stream would be sent without its length.
    const body = request.body && (await request.arrayBuffer());
    return new Request(url, { method, headers, signal, body });
  }

  responded(request: Request, response: Response): void {
    const server = this.#serverOf(request);
    const region = response.headers.get("x-served-by-region");
    if (region) this.#regions.set(server, region);
    if (FAILURES.includes(response.status)) this.#avoid(server);
    else for (const each of this.#ofSameRegion(server)) this.#avoided.delete(each);
  }

  failed(request: Request): void {
    this.#avoid(this.#serverOf(request));
  }

  #choose(): string {
    const until = (server: string) => this.#avoided.get(server) ?? 0;
    const now = performance.now();
    // If all are avoided, the one that failed first; a Region's own name before the common.
    const server =
      this.urls.find((each) => until(each) <= now) ??
      this.urls.reduce((first, each) => (until(each) <= until(first) ? each : first));
    if (this.#avoided.has(server)) this.#avoid(server); // others still do, until it has served
    return server;
  }

  #avoid(server: string): void {
    const until = performance.now() + this.#recoverySeconds * 1000;
    for (const each of this.#ofSameRegion(server)) this.#avoided.set(each, until);
  }

  #ofSameRegion(server: string): string[] {
    return this.urls.filter((each) => this.#regions.get(each) === this.#regions.get(server));
  }

  #serverOf(request: Request): string {
    const server = this.urls.find((url) => request.url.startsWith(`${url}/`));
    if (!server) throw new Error(`${request.url} is not a path of the API: give one without host`);
    return server;
  }
}
