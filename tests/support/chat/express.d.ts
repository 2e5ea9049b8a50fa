// The part of Express that tests use: it has no types of its own.
import type {
  IncomingMessage,
  RequestListener,
  Server,
  ServerResponse,
} from "node:http";

type Handler = (
  req: IncomingMessage & { body: { messages: unknown[] } },
  res: ServerResponse & { status(code: number): ServerResponse },
) => void | Promise<void>;

interface Application {
  use(handler: RequestListener): Application;
  post(path: string, handler: Handler): Application;
  listen(port: number, host: string): Server;
}

declare const express: {
  (): Application;
  json(): RequestListener;
};

export default express;
