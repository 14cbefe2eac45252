// What the page needs of a browser, in syntax that old ones read.

/** What of the browser is missing, in words; null where the models can run. */
export const missing = () => {
  const simd = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
  if (typeof WebAssembly !== "object") return "it has no WebAssembly";
  if (!WebAssembly.validate(simd)) return "its WebAssembly has no SIMD instructions";
  if (!navigator.storage?.getDirectory) return "it has no storage for files, or keeps none in a private window";
  return null;
};
