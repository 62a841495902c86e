/** A picture or a voice message within a message. Its room is kept from the start, so that nothing moves when it loads. */
import type { Media } from '../api/types';
import { Blur } from '../ui/blur';

export function ShownMedia({ media, type, from }: { media: Media; type: string; from: string }) {
  return type === 'audio' ? <Voice media={media} from={from} /> : <Picture media={media} from={from} />;
}

function Picture({ media, from }: { media: Media; from: string }) {
  const width = media.width ?? 4;
  const height = media.height ?? 3;
  return (
    <a
      className="picture"
      href={media.url.replace(/[^/]+$/, 'full')}
      target="_blank"
      rel="noreferrer"
      style={{ aspectRatio: `${width} / ${height}`, width: `min(100%, ${Math.min(width, 420)}px)` }}
    >
      {media.blurHash && <Blur hash={media.blurHash} />}
      <img
        src={media.url}
        width={width}
        height={height}
        loading="lazy"
        decoding="async"
        alt={`Sent by ${from === 'You' ? 'you' : from}`}
      />
    </a>
  );
}

function Voice({ media, from }: { media: Media; from: string }) {
  const wave = media.waveform ?? [];
  return (
    <div className="voice">
      {wave.length > 0 && (
        <svg
          className="voice__wave"
          viewBox={`0 0 ${wave.length * 3} 32`}
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          {wave.map((loud, n) => {
            const height = Math.max(2, (loud / 255) * 30);
            return <rect key={n} x={n * 3} y={16 - height / 2} width={2} height={height} rx={1} />;
          })}
        </svg>
      )}
      {/* What is said in it stands below, where it is known. */}
      {/* eslint-disable-next-line jsx-a11y/media-has-caption */}
      <audio
        controls
        preload="metadata"
        src={media.url}
        aria-label={`Voice message from ${from === 'You' ? 'you' : from}`}
      />
      {media.transcript && (
        <details className="voice__transcript">
          <summary>Transcript</summary>
          <p>{media.transcript}</p>
        </details>
      )}
    </div>
  );
}
