/** The page: the start page, or the workbench of the open project. */
import { useEffect } from "preact/hooks";
import { listenToKeys } from "./keys";
import { useWorkspace } from "./model/context";
import { followPlayback } from "./model/playback";
import { ExportDialog } from "./panels/export";
import { Flags } from "./panels/flags";
import { FramePanel } from "./panels/frame";
import { Header } from "./panels/header";
import { Help } from "./panels/help";
import { Objects } from "./panels/objects";
import { Start } from "./panels/start";
import { Messages, TroubleBar } from "./panels/toasts";
import { ToolLine, Tools } from "./panels/tools";
import { Transport } from "./panels/transport";
import { StageView } from "./stage/stage_view";
import { Timeline } from "./timeline/timeline";

export function App() {
  const { session } = useWorkspace();
  const name = session.project.value?.name;
  useEffect(() => {
    document.title = name === undefined ? "maskcast" : `${name} – maskcast`;
  }, [name]);
  return (
    <>
      <TroubleBar />
      {session.project.value === null ? <Start /> : <Workbench key={session.project.value.key} />}
      <Messages />
    </>
  );
}

function Workbench() {
  const workspace = useWorkspace();
  useEffect(() => {
    const stops = [listenToKeys(workspace), followPlayback(workspace.session)];
    return () => {
      for (const stop of stops) stop();
    };
  }, [workspace]);
  return (
    <div class="workbench">
      <Header />
      <Tools />
      <main aria-label="Frame">
        <ToolLine />
        <StageView />
      </main>
      <aside aria-label="Objects and flags">
        <Objects />
        <FramePanel />
        <Flags />
      </aside>
      <section class="time" aria-label="Time">
        <Transport />
        <Timeline />
      </section>
      {workspace.dialog.value === "help" && <Help />}
      {workspace.dialog.value === "export" && <ExportDialog />}
    </div>
  );
}
