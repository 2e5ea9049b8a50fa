// The parts of an application that the routes of a chat use.
import type { LanguageModel, ToolSet, UIMessage } from "ai";

export type Handler = (request: Request, id: string) => Promise<Response>;

export interface Kept {
  messages: UIMessage[];
  activeStreamId: string | null;
}

export interface App {
  settings: { model: LanguageModel; tools: ToolSet };
  readChat(request: Request, id: string): Kept;
  saveChat(request: Request, id: string, chat: Partial<Kept>): void;
}
