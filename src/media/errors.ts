/**
 * The registry of error codes. A code is stable: users grep logs for it and scripts branch on it.
 * Each entry says what happened and what the reader can do about it.
 */
export const ERRORS = {
  SLUICE_AMF_MALFORMED:
    'The AMF data is cut short or contradicts itself. The encoder is broken or the bytes are not RTMP.',
  SLUICE_AMF_LIMIT: 'The AMF data is nested too deeply or has too many values. No real encoder sends this.',
  SLUICE_API_LOOPBACK_ONLY:
    'Without api.token the API and the metrics are for this computer only. Configure api.token and send it as a bearer token.',
  SLUICE_API_STREAM_NOT_FOUND: 'There is no such stream now. GET /api/streams lists those there are.',
  SLUICE_API_UNAUTHORIZED: 'The request lacks the bearer token of the API, or it is a wrong one.',
  SLUICE_CALLBACK_FAILED:
    'Nobody could be asked whether this is allowed. It is not the stream key or the link: look at the server behind callback.url, and try again.',
  SLUICE_CODEC_MALFORMED:
    'A decoder configuration record or parameter set cannot be parsed. Restart the encoder; if it stays, its output is broken.',
  SLUICE_CONFIG_INVALID:
    'The configuration has a wrong key or value. The message names the place; docs/configuration.md has every option.',
  SLUICE_CONFIG_UNREADABLE:
    'The configuration file cannot be read. Check the path behind --config or in SLUICE_CONFIG, and who may read the file.',
  SLUICE_DESCRIPTORS_EXHAUSTED:
    'The process may not have more files and connections open. Raise the limit: ulimit -n, or LimitNOFILE= in systemd.',
  SLUICE_FFMPEG_MISSING:
    'No ffmpeg that works was found, and this needs one. Install ffmpeg (apt install ffmpeg), or name it with transcode.ffmpeg.',
  SLUICE_FFMPEG_UNABLE:
    'This ffmpeg lacks an encoder, decoder or filter that was asked for. Install a full build, or choose another codec.',
  SLUICE_FLV_MALFORMED: 'An audio or video message is shorter than its header says. The encoder is broken.',
  SLUICE_HTTP_BAD_REQUEST:
    'The HTTP request cannot be understood or is not allowed. Check its path and headers.',
  SLUICE_HTTP_NOT_FOUND: 'There is nothing at this address. Open / for the list of live streams.',
  SLUICE_HTTP_SILENT:
    'Many connections to the HTTP port were opened and nothing was asked on them. A scanner, or somebody who means harm.',
  SLUICE_HTTP_UNREAD:
    'A viewer asked for something and then did not read it. Its player is gone or its network too slow.',
  SLUICE_INTERNAL: 'A fault inside Sluice. Please report it with the log lines around it.',
  SLUICE_PLAY_DENIED:
    'This stream may not be played with this address. It is not signed, has expired, or is refused by a rule: get a new link.',
  SLUICE_PORT_UNAVAILABLE:
    'A port cannot be opened. Stop the program that uses it or choose another with --rtmp-port / --http-port.',
  SLUICE_PUBLISH_DENIED:
    'Publishing is not allowed with this stream key or from this address. Check the stream key in the encoder.',
  SLUICE_PUBLISH_KICKED:
    'An operator ended this stream; its name is refused for a while. Ask them, or publish again later.',
  SLUICE_RENDITION_STARTING:
    'This rendition is encoded only while somebody watches it, and begins now. Ask again.',
  SLUICE_RTMP_BAD_CHUNK: 'The RTMP chunk stream is not decodable. The connection is closed.',
  SLUICE_RTMP_BAD_MESSAGE:
    'An RTMP control message or command has impossible content. The connection is closed.',
  SLUICE_RTMP_BAD_NAME:
    'The application or stream name is not allowed. Use letters, digits, dot, dash, underscore and tilde, at most 128 characters.',
  SLUICE_RTMP_HANDSHAKE_TIMEOUT:
    'The RTMP handshake did not finish in time. Check that the client speaks RTMP and the network is not dropping packets.',
  SLUICE_RTMP_IDLE_TIMEOUT:
    'The connection sent nothing for the idle time. The encoder or its network is gone.',
  SLUICE_RTMP_LIMIT: 'The peer asked for more than a configured limit allows. The connection is closed.',
  SLUICE_RTMP_NAME_IN_USE:
    'Somebody else is publishing under this name. Stop the other encoder or set publish.takeover to "newest".',
  SLUICE_RTMP_NOT_RTMP: 'The client on the RTMP port does not speak RTMP.',
  SLUICE_RTMP_REPLACED: 'A newer publisher took over this stream name.',
  SLUICE_STORE_IN_USE:
    'Another process keeps its segments in storage.directory. Stop it, or give this one a directory of its own.',
  SLUICE_THUMBNAIL_BUSY: 'Too many pictures of streams are asked for at once. Ask again in a few seconds.',
  SLUICE_TRANSCODE_FAILED:
    'ffmpeg ended or produced something else than was asked for. It is started again; the message quotes what it said.',
  SLUICE_TRANSCODE_LIMIT:
    'As many ffmpeg jobs as transcode.maxJobs allows are running. This one starts when another ends.',
  SLUICE_TRANSCODE_SLOW:
    'Encoding does not keep up with the stream. The largest rendition is left out; use a faster preset or fewer renditions.',
  SLUICE_CODEC_REJECTED:
    'The configuration refuses this codec (transcode.codecs). Choose another one in the encoder.',
  SLUICE_HOOK_FAILED: 'A command of hooks failed or took too long. The message quotes what it said.',
  SLUICE_SHUTTING_DOWN: 'The gateway is shutting down, or the stream was ended here. Connect again later.',
  SLUICE_STORE_BUSY:
    'The disk does not keep up or does not answer. Look for a failing device or a hanging network file system.',
  SLUICE_STORE_FAILED:
    'The disk is full, read-only or broken. Make room in storage.directory, or see to the disk and its rights: df, dmesg.',
  SLUICE_STORE_FULL:
    'The segment store has reached its configured size. Raise it, or keep fewer or shorter segments.',
  SLUICE_STORE_UNUSABLE:
    'The storage directory cannot be made or written. Give the user that runs Sluice the right to, or choose another.',
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a stable code. `message` is the particular case; `advice` what to do about it. */
export class SluiceError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SluiceError';
    this.code = code;
  }

  get advice(): string {
    return ERRORS[this.code];
  }
}

/** What was thrown, as an error with a code. */
export function asSluiceError(error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  return new SluiceError('SLUICE_INTERNAL', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}
