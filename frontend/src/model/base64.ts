/** Arrays of numbers as the server sends them: little-endian, in base64. */

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function int32Of(text: string): Int32Array {
  return new Int32Array(bytesOf(text).buffer);
}

export function float32Of(text: string): Float32Array {
  return new Float32Array(bytesOf(text).buffer);
}

export function float64Of(text: string): Float64Array {
  return new Float64Array(bytesOf(text).buffer);
}
