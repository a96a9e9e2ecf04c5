/** A button that opens a short list of choices; arrow keys move in it, Escape closes it. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface Choice {
  label: string;
  hint?: string;
  disabled?: boolean;
  checked?: boolean;
  run: () => void;
}

interface Props {
  name: string;
  class?: string;
  choices: readonly Choice[];
  disabled?: boolean;
  children: ComponentChildren;
}

const GAP = 4; // pixels

export function Menu({ name, choices, disabled, children, ...rest }: Props) {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return;
    place(list.current, root.current);
    focusIn(list.current, 0);
    const outside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open, open.value]);
  const close = () => {
    open.value = false;
    root.current?.querySelector("button")?.focus();
  };
  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        class={rest.class ?? "quiet"}
        aria-label={name}
        aria-haspopup="menu"
        aria-expanded={open.value}
        title={name}
        disabled={disabled}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        {children}
      </button>
      {open.value && (
        <div
          role="menu"
          tabIndex={-1}
          aria-label={name}
          ref={list}
          onKeyDown={(event) => moveIn(event, list.current, close)}
        >
          {choices.map((choice) => (
            <button
              key={choice.label}
              type="button"
              role="menuitem"
              aria-current={choice.checked}
              disabled={choice.disabled}
              onClick={() => {
                close();
                choice.run();
              }}
            >
              <span>{choice.label}</span>
              {choice.hint && <span class="hint">{choice.hint}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** Put the list below its button, but in sight: what scrolls around the button must not cut it. */
function place(list: HTMLElement | null, root: HTMLElement | null): void {
  if (list === null || root === null) return;
  const button = root.getBoundingClientRect();
  const { offsetWidth, offsetHeight } = list;
  const isAtRight = button.left > innerWidth / 2;
  const left = isAtRight ? button.right - offsetWidth : button.left;
  list.style.left = `${Math.max(GAP, left)}px`;
  const lowest = innerHeight - offsetHeight - GAP;
  list.style.top = `${Math.max(GAP, Math.min(button.bottom + GAP, lowest))}px`;
}

function itemsOf(list: HTMLElement | null): HTMLButtonElement[] {
  return [...(list?.querySelectorAll<HTMLButtonElement>("button:enabled") ?? [])];
}

function focusIn(list: HTMLElement | null, place: number): void {
  const items = itemsOf(list);
  items[(place + items.length) % items.length]?.focus();
}

function moveIn(event: KeyboardEvent, list: HTMLElement | null, close: () => void): void {
  const now = itemsOf(list).indexOf(document.activeElement as HTMLButtonElement);
  if (event.key === "ArrowDown") focusIn(list, now + 1);
  else if (event.key === "ArrowUp") focusIn(list, now - 1);
  else if (event.key === "Escape") close();
  else if (event.key === "Tab") return close();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
