/** What stands in a picture's place until it is there. */
import { useEffect, useRef } from 'react';
import { blurPixels } from './blur-hash';

const SIDE = 24;

export function Blur({ hash }: { hash: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const pixels = blurPixels(hash, SIDE, SIDE);
    const context = canvas.current?.getContext('2d');
    if (pixels === undefined || !context) return;
    const image = context.createImageData(SIDE, SIDE);
    image.data.set(pixels);
    context.putImageData(image, 0, 0);
  }, [hash]);
  return <canvas className="picture__blur" ref={canvas} width={SIDE} height={SIDE} aria-hidden="true" />;
}
