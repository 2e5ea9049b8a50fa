import { HeaderList } from "../header_list.ts";
import { toResponse } from "../upstream/answer.ts";
import type { UpstreamRequest } from "../upstream/upstream_request.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { SourceRequest } from "./redirects.ts";

/**
 * Asks a source for its stream, by a connection of its own: a stream is over when its
 * connection is, as a rule. Compression is not asked for.
 *
 * @param upstreams Asks.
 * @param url The URL.
 * @param request The headers and the signal, and the address where that is given.
 * @returns The answer, as it comes.
 */
export async function askSource(
  upstreams: Upstreams,
  url: URL,
  { headers, signal, address }:
    & SourceRequest
    & Pick<UpstreamRequest, "address">,
): Promise<Response> {
  const sent = HeaderList.from(headers);
  sent.set("accept-encoding", "identity");
  const answer = await upstreams.ask({
    url,
    method: "GET",
    headers: sent,
    body: null,
    length: undefined,
    isKept: false,
    address,
    signal,
  });
  return toResponse(answer);
}
