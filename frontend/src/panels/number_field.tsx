/** A field for a whole number. What is being typed stays while the page shows other news. */
import { useEffect, useRef } from "preact/hooks";

interface NumberFieldProps {
  label: string;
  min: number;
  max: number;
  value: number;
  /** Takes up the number, and returns the one to show: it may be out of range. */
  onChange: (typed: number) => number;
}

export function NumberField({ label, min, max, value, onChange }: NumberFieldProps) {
  const input = useRef<HTMLInputElement>(null);
  const text = String(value);
  useEffect(() => {
    if (input.current !== null) input.current.value = text;
  }, [text]);
  return (
    <input
      ref={input}
      type="number"
      aria-label={label}
      min={min}
      max={max}
      defaultValue={text}
      onChange={(event) => {
        event.currentTarget.value = String(onChange(Number(event.currentTarget.value)));
      }}
    />
  );
}
