/**
 * What a peer may ask for. Every size it can choose has a ceiling here, far above what real encoders do, so that a
 * hostile one costs a bounded amount of memory and time.
 */
export const RTMP_LIMITS = {
  /** A keyframe of 8K video is below 4 MiB; the format's own ceiling is 16 MiB - 1. */
  mediaMessageBytes: 8 * 1024 * 1024,
  /** Commands and metadata of real encoders are below 4 KiB. */
  otherMessageBytes: 256 * 1024,
  /** Smaller chunks make a peer's every byte cost us more than a header; 128 is the protocol's default. */
  minChunkSize: 128,
  /** Chunks never need to be larger than a message. */
  maxChunkSize: 0xffffff,
  /** Real encoders use at most six; nginx-rtmp allows 32. */
  chunkStreams: 64,
  /** Bytes in unfinished messages over all chunk streams. */
  partialBytes: 16 * 1024 * 1024,
  /** The same before a publish was accepted: anybody can open a thousand connections. */
  partialBytesOfStrangers: 512 * 1024,
  /** NetStreams in one connection. */
  messageStreams: 8,
  /** Publish commands in one connection; each makes log lines and may make a stream. */
  publishes: 64,
  /** Media that arrives before a publish is accepted is kept up to this, then dropped. */
  pendingBytes: 1024 * 1024,
} as const;
