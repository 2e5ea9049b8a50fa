/**
 * A stand-in for `jsr:@std/http/unstable-route`.
 *
 * @module
 */

/** Answers a request that no route matched. */
export type RequestHandler = (
  request: Request,
  info?: Deno.ServeHandlerInfo,
) => Response | Promise<Response>;

/** Answers a request that a route matched. */
export type Handler = (
  request: Request,
  params: URLPatternResult,
  info?: Deno.ServeHandlerInfo,
) => Response | Promise<Response>;

/** A pattern, the methods it answers (all if left out), and its handler. */
export interface Route {
  /** Matched against the request's URL. */
  pattern: URLPattern;
  /** The methods, in any case. */
  method?: string | string[];
  /** Called with the groups of the pattern. */
  handler: Handler;
}

/** Hands a request to the first route that matches its method and URL. */
export function route(
  routes: Route[],
  defaultHandler: RequestHandler,
): RequestHandler {
  return (request, info) => {
    for (const { method, pattern, handler } of routes) {
      const methods = method && [method].flat().map((m) => m.toUpperCase());
      if (methods && !methods.includes(request.method)) continue;
      const match = pattern.exec(request.url);
      if (match) return handler(request, match, info);
    }
    return defaultHandler(request, info);
  };
}
