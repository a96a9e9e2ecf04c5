/** What every panel works with. */
import { type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { StagePointer } from "../stage/pointer";
import type { Stage } from "../stage/stage";
import type { Look } from "./look";
import type { Session } from "./session";

export type DialogName = "export" | "help" | "open";

export class Workspace {
  readonly session: Session;
  readonly look: Look;
  /** Known while the stage is on the page. */
  readonly stage: Signal<Stage | null> = signal(null);
  readonly pointer: Signal<StagePointer | null> = signal(null);
  readonly dialog = signal<DialogName | null>(null);

  constructor(session: Session) {
    this.session = session;
    this.look = session.look;
  }
}

const Context = createContext<Workspace | null>(null);
export const WorkspaceProvider = Context.Provider;

export function useWorkspace(): Workspace {
  const workspace = useContext(Context);
  if (workspace === null) throw new Error("a panel lies outside of the workspace");
  return workspace;
}
