import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ariaKeys, COMMANDS, chordOf, shownKey } from "../src/keys";

const GUIDE = readFileSync(new URL("../../docs/app.md", import.meta.url), "utf8");

const NONE = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

describe("chords", () => {
  it.each([
    [{ key: "z", ctrlKey: true }, "Ctrl+Z"],
    [{ key: "Z", metaKey: true, shiftKey: true }, "Ctrl+Shift+Z"],
    [{ key: " " }, "Space"],
    [{ key: "?", shiftKey: true }, "?"],
    [{ key: "{", shiftKey: true }, "{"],
    [{ key: "ArrowLeft", shiftKey: true }, "Shift+ArrowLeft"],
    [{ key: "Enter", altKey: true }, "Alt+Enter"],
    [{ key: ".", ctrlKey: true }, "Ctrl+."],
  ])("%o", (event, chord) => {
    expect(chordOf({ ...NONE, ...event })).toBe(chord);
  });

  it("belong to one command each", () => {
    const keys = Object.values(COMMANDS).flatMap((command) => [...command.keys]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each(Object.entries(COMMANDS))("are in the guide: %s", (_, { keys, says }) => {
    const shown = keys.map((key) => `\`${shownKey(key)}\``).join(", ");
    expect(GUIDE).toContain(`| ${shown} | ${says} |`);
  });

  it("are written for screen readers with the names of the standard", () => {
    expect(ariaKeys("redo")).toBe("Control+Shift+Z Control+Y");
  });
});
