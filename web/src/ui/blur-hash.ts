/** A blur hash (https://blurha.sh) as pixels: what stands in a picture's place until it is there. */

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~';

function base83(text: string): number {
  let value = 0;
  for (const digit of text) value = value * 83 + DIGITS.indexOf(digit);
  return value;
}

const linear = (value: number): number => {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
};

const srgb = (value: number): number => {
  const part = Math.min(1, Math.max(0, value));
  return Math.round(255 * (part <= 0.0031308 ? part * 12.92 : 1.055 * part ** (1 / 2.4) - 0.055));
};

const signedSquare = (value: number): number => Math.sign(value) * value * value;

/** RGBA, `width` times `height`; undefined for what is no blur hash. */
export function blurPixels(hash: string, width: number, height: number): Uint8ClampedArray | undefined {
  if (hash.length < 6 || Array.from(hash).some((digit) => !DIGITS.includes(digit))) return undefined;
  const size = base83(hash.slice(0, 1));
  const across = (size % 9) + 1;
  const down = Math.floor(size / 9) + 1;
  if (hash.length !== 4 + 2 * across * down) return undefined;
  const most = (base83(hash.slice(1, 2)) + 1) / 166;
  const average = base83(hash.slice(2, 6));
  const waves = [[linear(average >> 16), linear((average >> 8) & 255), linear(average & 255)]];
  for (let at = 6; at < hash.length; at += 2) {
    const value = base83(hash.slice(at, at + 2));
    const parts = [Math.floor(value / 361), Math.floor(value / 19) % 19, value % 19];
    waves.push(parts.map((part) => signedSquare((part - 9) / 9) * most));
  }
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const colour = [0, 0, 0];
      waves.forEach((wave, n) => {
        const i = n % across;
        const j = Math.floor(n / across);
        const weight = Math.cos((Math.PI * x * i) / width) * Math.cos((Math.PI * y * j) / height);
        for (let c = 0; c < 3; c += 1) colour[c] = (colour[c] ?? 0) + (wave[c] ?? 0) * weight;
      });
      pixels.set([...colour.map(srgb), 255], (y * width + x) * 4);
    }
  }
  return pixels;
}
