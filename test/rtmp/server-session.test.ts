import { describe, expect, it } from 'vitest';
import { encodeAmf0 } from '../../src/formats/amf/amf0.ts';
import { AmfEcmaArray, type AmfValue } from '../../src/formats/amf/value.ts';
import { ERRORS, SluiceError } from '../../src/media/errors.ts';
import { ChunkWriter } from '../../src/rtmp/chunk-writer.ts';
import { RTMP_LIMITS } from '../../src/rtmp/limits.ts';
import { ServerSession } from '../../src/rtmp/server-session.ts';
import { failure, hex } from '../formats/amf/support.ts';
import { filled, split } from './support/chunk-encoder.ts';
import { type Answer, Peer, Recorder, status } from './support/peer.ts';

const STARTED: Answer[] = [
  ['User Control', '000000000001'],
  status(1, 'status', 'NetStream.Publish.Start', 'Publishing started.'),
];
const UNPUBLISHED = status(1, 'status', 'NetStream.Unpublish.Success', 'Publishing stopped.');

function result(transactionId: number, ...values: AmfValue[]): Answer {
  return [0, '_result', transactionId, ...values];
}

/** AMF0 text and member names: a length in front. */
function text(value: string): string {
  return Buffer.byteLength(value).toString(16).padStart(4, '0') + Buffer.from(value).toString('hex');
}

/** An onStatus body byte by byte: name, transaction id 0, null, object. */
function statusBytes(level: string, code: string, description: string): Buffer {
  return hex(`02 ${text('onStatus')}  00 0000000000000000  05  03
    ${text('level')} 02 ${text(level)}
    ${text('code')} 02 ${text(code)}
    ${text('description')} 02 ${text(description)}
    0000 09`);
}

describe('connect', () => {
  it('is answered in the order that all clients accept, announcements first', () => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, { app: 'live', tcUrl: 'rtmp://h/live' });
    const [window, bandwidth, chunkSize, answer, ...more] = peer.written;
    expect(window).toEqual(hex('02 000000 000004 05 00000000 002625a0'));
    expect(bandwidth).toEqual(hex('02 000000 000005 06 00000000 002625a0 02'));
    expect(chunkSize).toEqual(hex('02 000000 000004 01 00000000 0000ea60'));
    // In one chunk, which the size just announced allows.
    expect(answer?.subarray(0, 4)).toEqual(hex('03 000000'));
    expect(answer?.subarray(7, 12)).toEqual(hex('14 00000000'));
    expect(answer?.subarray(12, 31)).toEqual(hex(`02 ${text('_result')} 00 3ff0000000000000`));
    expect(answer?.length).toBe(12 + (answer?.readUIntBE(4, 3) ?? 0));
    expect(more).toEqual([]);
  });

  it('succeeds with server properties and the capabilities of Enhanced RTMP', () => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, { app: 'live' });
    const [, , [stream, name, transactionId, properties, information] = []] = peer.answers();
    expect([stream, name, transactionId]).toEqual([0, '_result', 1]);
    const enhanced = {
      capsEx: 14,
      fourCcList: expect.arrayContaining(['avc1', 'hvc1', 'av01', 'mp4a', 'Opus']),
      videoFourCcInfoMap: expect.objectContaining({ hvc1: 4 }),
      audioFourCcInfoMap: expect.objectContaining({ Opus: 4 }),
    };
    expect(properties).toEqual({ fmsVer: 'FMS/3,0,1,123', capabilities: 31, mode: 1, ...enhanced });
    expect(information).toEqual({
      level: 'status',
      code: 'NetConnection.Connect.Success',
      description: 'Connection succeeded.',
      objectEncoding: 0,
      ...enhanced,
    });
  });

  it('answers without AMF0 references, which many clients cannot read', () => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, { app: 'live' });
    const body = peer.written.at(-1)?.subarray(12) ?? Buffer.alloc(0);
    // With no references, every object in the answer is written out, the same ones twice.
    expect(body.toString('latin1').split('videoFourCcInfoMap').length - 1).toBe(2);
    expect(body.toString('latin1').split('fLaC').length - 1).toBe(4);
  });

  it.each([
    [3, 3],
    [0, 0],
    [1, 0],
    ['3', 0],
  ])('objectEncoding %j is answered with %i', (asked, answered) => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, { app: 'live', objectEncoding: asked });
    const [, , [, , , , information] = []] = peer.answers();
    expect(information).toMatchObject({ objectEncoding: answered });
  });

  it.each([
    ['an ECMA array', new AmfEcmaArray({ app: 'live', flashVer: 'x' }), 'live', 'x'],
    ['no encoder name', { app: 'live' }, 'live', null],
    ['an endless encoder name', { app: 'a', flashVer: 'y'.repeat(1000) }, 'a', 'y'.repeat(128)],
    ['no object', null, '', null],
    ['wrong types', { app: 1, flashVer: true }, '', null],
  ] as [string, AmfValue, string, string | null][])('may come with %s', (_name, object, app, encoder) => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, object);
    peer.command(1, 'publish', 2, null, 'key');
    expect(peer.requests[0]).toMatchObject({ app, encoder, key: 'key' });
  });
});

describe('flows of real encoders', () => {
  it('OBS: large chunks from the start, everything else back to back, media on one chunk stream', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.setChunkSize(4096);
    const swfUrl = 'rtmp://127.0.0.1/live';
    peer.command(0, 'connect', 1, {
      app: 'live',
      type: 'nonprivate',
      flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)',
      swfUrl,
      tcUrl: swfUrl,
    });
    expect(peer.answers().map(([first, second]) => [first, second])).toEqual([
      ['Window Acknowledgement Size', '002625a0'],
      ['Set Peer Bandwidth', '002625a002'],
      [0, '_result'],
    ]);
    peer.command(0, 'releaseStream', 2, null, 'test');
    peer.command(0, 'FCPublish', 3, null, 'test');
    peer.command(0, 'createStream', 4, null);
    expect(peer.answers()).toEqual([
      result(2, null, undefined),
      result(3, null, undefined),
      result(4, null, 1),
    ]);
    const publish = encodeAmf0(['publish', 5, null, 'test', 'live']);
    peer.send(4, { type: 20, timestamp: 0, streamId: 1, body: publish });
    expect(peer.answers()).toEqual(STARTED);
    expect(peer.requests).toMatchObject([
      {
        app: 'live',
        key: 'test',
        encoder: 'FMLE/3.0 (compatible; FMSc/1.0)',
        swfUrl,
        tcUrl: swfUrl,
        pageUrl: null,
      },
    ]);
    expect(peer.session.publishing).toBe(true);

    const metadata = new AmfEcmaArray({ width: 1280, videocodecid: 7, audiocodecid: 10 });
    peer.media(18, 0, encodeAmf0(['@setDataFrame', 'onMetaData', metadata]));
    peer.media(8, 0, hex('af00 1190'));
    peer.media(9, 0, hex('17 00 000000'));
    peer.media(9, 33, filled(10_000));
    peer.command(0, 'FCUnpublish', 6, null, 'test');
    peer.command(0, 'deleteStream', 7, null, 1);
    expect(peer.answers()).toEqual([result(6, null, undefined), UNPUBLISHED]);
    expect(recorder.heard).toEqual([
      ['data', { name: 'onMetaData', values: [metadata] }],
      ['audio', 0, 'af001190'],
      ['video', 0, '1700000000'],
      ['video', 33, filled(10_000).toString('hex')],
      ['end'],
    ]);
    expect(peer.closes).toBe(0);
  });

  it('ffmpeg: chunks of 128 bytes until it takes over our size, the answer to createStream at fixed places', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.command(0, 'connect', 1, {
      app: 'live',
      type: 'nonprivate',
      flashVer: 'FMLE/3.0 (compatible; Lavf59.27.100)',
      tcUrl: 'rtmp://127.0.0.1:1935/live',
    });
    peer.written.length = 0;
    peer.command(0, 'releaseStream', 2, null, 'test');
    peer.command(0, 'FCPublish', 3, null, 'test');
    peer.command(0, 'createStream', 4, null);
    expect(peer.written.at(-1)).toEqual(
      hex(`03 000000 00001d 14 00000000
        02 ${text('_result')}  00 4010000000000000  05  00 3ff0000000000000`),
    );
    peer.answers();
    const publish = encodeAmf0(['publish', 5, null, 'test', 'live']);
    peer.send(8, { type: 20, timestamp: 0, streamId: 1, body: publish });
    expect(peer.answers()).toEqual(STARTED);
    peer.send(6, { type: 9, timestamp: 0, streamId: 1, body: filled(1000) });
    peer.setChunkSize(60_000);
    peer.send(6, { type: 9, timestamp: 40, streamId: 1, body: filled(59_000) });
    expect(recorder.heard.map(([, timestamp]) => timestamp)).toEqual([0, 40]);
    expect(recorder.heard[1]).toEqual(['video', 40, filled(59_000).toString('hex')]);
  });

  it('GStreamer: wants no answers, deletes by name', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.command(0, 'connect', 1, { app: 'live', flashVer: 'LNX 10,0,32,18' });
    peer.answers();
    peer.command(0, 'releaseStream', 0, null, 'test');
    peer.command(0, 'FCPublish', 0, null, 'test');
    expect(peer.answers()).toEqual([]);
    peer.command(0, 'createStream', 2, null);
    expect(peer.answers()).toEqual([result(2, null, 1)]);
    peer.command(1, 'publish', 0, null, 'test', 'live');
    // The first onStatus decides, so nothing but Start may be sent.
    expect(peer.answers()).toEqual(STARTED);
    peer.command(0, 'FCUnpublish', 0, null, 'test');
    peer.command(0, 'deleteStream', 0, null, 'other');
    expect(recorder.ends).toBe(0);
    peer.command(0, 'deleteStream', 0, null, 'test');
    expect(peer.answers()).toEqual([UNPUBLISHED]);
    expect(recorder.heard).toEqual([['end']]);
  });

  it('FMLE: announces a window, publishes again on the same stream after closeStream', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.command(0, 'connect', 1, { app: 'live', flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)' });
    peer.control(5, hex('002625a0'));
    peer.command(0, 'releaseStream', 2, null, 'test');
    peer.command(0, 'FCPublish', 3, null, 'test');
    peer.command(0, 'createStream', 4, null);
    peer.answers();
    peer.command(1, 'publish', 0, null, 'test', 'live');
    expect(peer.answers()).toEqual(STARTED);
    // A full header at 26 ms, then only fmt 3: every message 26 ms later.
    peer.session.push(hex('04 00001a 000002 08 01000000 af01  c4 af01'));
    peer.command(1, 'closeStream', 0, null);
    expect(peer.answers()).toEqual([UNPUBLISHED]);
    expect(recorder.heard).toEqual([['audio', 26, 'af01'], ['audio', 52, 'af01'], ['end']]);
    const second = new Recorder();
    peer.receiver = second;
    peer.command(1, 'publish', 0, null, 'again', 'live');
    expect(peer.answers()).toEqual(STARTED);
    peer.media(8, 60, hex('af01'));
    expect(second.heard).toEqual([['audio', 60, 'af01']]);
    expect(recorder.ends).toBe(1);
  });

  it('in single bytes', () => {
    const whole = new Peer();
    whole.connect();
    const pieces: Buffer[] = [
      whole.encoder.encode(3, {
        type: 20,
        timestamp: 0,
        streamId: 1,
        body: encodeAmf0(['publish', 5, null, 'test']),
      }),
      whole.encoder.encode(4, { type: 9, timestamp: 1, streamId: 1, body: filled(300) }),
    ];
    const recorder = new Recorder();
    whole.receiver = recorder;
    for (const piece of split(Buffer.concat(pieces), [1])) whole.session.push(piece);
    expect(recorder.heard).toEqual([['video', 1, filled(300).toString('hex')]]);
  });
});

describe('publish', () => {
  it('answers on the stream it was asked on, byte for byte', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(0, 'createStream', 3, null);
    expect(peer.answers()).toEqual([result(3, null, 2)]);
    peer.receiver = new Recorder();
    peer.command(2, 'publish', 4, null, 'test', 'live');
    const body = statusBytes('status', 'NetStream.Publish.Start', 'Publishing started.');
    const header = hex('05 000000 000000 14 02000000');
    header.writeUIntBE(body.length, 4, 3);
    expect(peer.written).toEqual([
      hex('02 000000 000006 04 00000000 0000 00000002'),
      Buffer.concat([header, body]),
    ]);
  });

  it.each([
    ['in the key', 'live', 'test?token=a&b=c'],
    ['in the application', 'live?token=a', 'test'],
    ['in an empty key', 'live/test', '?token=a'],
  ])('passes a query %s on', (_name, app, key) => {
    const peer = new Peer();
    peer.connect(app);
    peer.command(1, 'publish', 3, null, key, 'live');
    expect(peer.requests).toMatchObject([{ app, key }]);
  });

  it.each([[[]], [[null]], [[null, 7]], [[null, null, 'live']]] as AmfValue[][][])(
    'without a name asks for an empty one (%#)',
    (args) => {
      const peer = new Peer();
      peer.connect();
      peer.command(1, 'publish', 3, ...args);
      expect(peer.requests).toMatchObject([{ key: '' }]);
    },
  );

  it('before connect is an error', () => {
    const peer = new Peer();
    expect(failure(() => peer.command(1, 'publish', 3, null, 'test'))).toBe('SLUICE_RTMP_BAD_MESSAGE');
    expect(peer.requests).toEqual([]);
  });

  it('works on a stream that was never created', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.command(0, 'connect', 1, { app: 'live' });
    peer.answers();
    peer.command(0x01020304, 'publish', 2, null, 'test');
    expect(peer.answers()).toEqual([
      ['User Control', '000001020304'],
      status(0x01020304, 'status', 'NetStream.Publish.Start', 'Publishing started.'),
    ]);
    peer.media(8, 5, hex('af01'), 0x01020304);
    expect(recorder.heard).toEqual([['audio', 5, 'af01']]);
  });

  it('again on a stream in use ends the first publication', () => {
    const peer = new Peer();
    const first = peer.publish();
    const second = new Recorder();
    peer.receiver = second;
    peer.command(1, 'publish', 4, null, 'other');
    expect(peer.answers()).toEqual([UNPUBLISHED, ...STARTED]);
    peer.media(8, 5, hex('af01'));
    expect(first.heard).toEqual([['end']]);
    expect(second.heard).toEqual([['audio', 5, 'af01']]);
  });

  it('keeps several streams of one connection apart', () => {
    const peer = new Peer();
    const first = peer.publish('one');
    peer.command(0, 'createStream', 4, null);
    const second = new Recorder();
    peer.receiver = second;
    peer.command(2, 'publish', 5, null, 'two');
    peer.answers();
    peer.media(8, 1, hex('01'), 1);
    peer.media(8, 2, hex('02'), 2);
    peer.media(8, 3, hex('03'), 3);
    peer.media(9, 4, hex('04'), 1);
    peer.command(0, 'deleteStream', 6, null, 1);
    peer.media(8, 5, hex('05'), 1);
    peer.media(8, 6, hex('06'), 2);
    expect(peer.requests.map(({ key }) => key)).toEqual(['one', 'two']);
    expect(first.heard).toEqual([['audio', 1, '01'], ['video', 4, '04'], ['end']]);
    expect(second.heard).toEqual([
      ['audio', 2, '02'],
      ['audio', 6, '06'],
    ]);
    expect(peer.answers()).toEqual([UNPUBLISHED]);
    expect(peer.session.publishing).toBe(true);
  });
});

describe('a publication that is decided on later', () => {
  it('gets what came meanwhile, in order, after the encoder got its answer', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    peer.media(18, 0, encodeAmf0(['@setDataFrame', 'onMetaData', { width: 2 }]));
    peer.media(9, 0, hex('1700'));
    peer.media(8, 3, hex('af01'));
    peer.media(9, 9, hex('2701'), 2);
    expect(peer.answers()).toEqual([]);
    expect(peer.session.publishing).toBe(false);
    // The one on stream 2 belongs to no publication.
    expect(peer.session.mediaMessages).toBe(3);
    const recorder = new Recorder();
    peer.requests[0]?.accept(recorder);
    expect(peer.answers()).toEqual(STARTED);
    peer.media(9, 20, hex('2701'));
    expect(recorder.heard).toEqual([
      ['data', { name: 'onMetaData', values: [{ width: 2 }] }],
      ['video', 0, '1700'],
      ['audio', 3, 'af01'],
      ['video', 20, '2701'],
    ]);
    expect(peer.session.publishing).toBe(true);
  });

  it('holds a bounded number of bytes', () => {
    const peer = new Peer();
    peer.setChunkSize(0x7fffffff);
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    for (let n = 0; n < 64; n++) peer.media(9, n, filled(64 * 1024, n));
    const recorder = new Recorder();
    peer.requests[0]?.accept(recorder);
    expect(recorder.heard.length).toBeGreaterThanOrEqual(15);
    expect(recorder.heard.length).toBeLessThanOrEqual(16);
    expect(recorder.heard[0]).toEqual(['video', 0, filled(64 * 1024, 0).toString('hex')]);
  });

  it('gets them unchanged, although another publication of the connection goes on meanwhile', () => {
    const peer = new Peer();
    peer.setChunkSize(0x7fffffff);
    peer.connect();
    peer.command(0, 'createStream', 3, null);
    peer.command(1, 'publish', 4, null, 'first');
    peer.requests[0]?.accept(new Recorder());
    peer.command(2, 'publish', 5, null, 'second');
    for (let n = 0; n < 40; n++) {
      if (n % 4 === 0) peer.media(9, n, filled(20_000, n), 2);
      else peer.media(9, n, filled(20_000, n), 1);
    }
    const recorder = new Recorder();
    peer.requests[1]?.accept(recorder);
    expect(recorder.heard.length).toBe(10);
    recorder.heard.forEach((heard, index) => {
      expect(heard).toEqual(['video', 4 * index, filled(20_000, 4 * index).toString('hex')]);
    });
  });

  it('holds a bounded number of messages without content', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    peer.media(8, 0, Buffer.alloc(0));
    const messages = 300_000;
    peer.session.push(Buffer.alloc(messages, 0xc4));
    const recorder = new Recorder();
    peer.requests[0]?.accept(recorder);
    expect(peer.session.mediaMessages).toBe(messages + 1);
    expect(recorder.heard.length).toBeGreaterThan(1000);
    expect(recorder.heard.length).toBeLessThan(messages / 2);
  });

  it.each([
    ['deleteStream', ['deleteStream', 4, null, 1]],
    ['deleteStream by name', ['deleteStream', 4, null, 'test']],
    ['closeStream', ['closeStream', 4, null]],
    ['another publish', ['publish', 4, null, 'other']],
  ] as [string, AmfValue[]][])('and is over by %s before that is ended at once', (_name, values) => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    peer.media(9, 0, hex('1700'));
    peer.command(1, ...values);
    const recorder = new Recorder();
    peer.requests[0]?.accept(recorder);
    expect(recorder.heard).toEqual([['end']]);
    peer.requests[0]?.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
    expect(peer.answers()).toEqual([]);
    expect(peer.closes).toBe(0);
  });

  it('and whose connection is gone before that is ended at once', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    peer.session.end();
    const recorder = new Recorder();
    peer.requests[0]?.accept(recorder);
    peer.requests[0]?.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
    expect(recorder.heard).toEqual([['end']]);
    expect(peer.written).toEqual([]);
    expect(peer.closes).toBe(0);
  });

  it('gets nothing more of what was held once its receiver ended the session', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    peer.media(9, 0, hex('1700'));
    peer.media(9, 1, hex('2701'));
    const recorder = new Recorder();
    peer.requests[0]?.accept({
      audio: () => {},
      data: () => {},
      damaged: () => {},
      end: () => recorder.end(),
      video: (timestamp, body) => {
        recorder.video(timestamp, body);
        peer.session.end();
      },
    });
    expect(recorder.heard).toEqual([['video', 0, '1700'], ['end']]);
  });
});

describe('reject', () => {
  it.each([
    ['SLUICE_RTMP_NAME_IN_USE', 'NetStream.Publish.BadName'],
    ['SLUICE_RTMP_REPLACED', 'NetStream.Publish.BadName'],
    ['SLUICE_RTMP_BAD_NAME', 'NetStream.Publish.Denied'],
    ['SLUICE_SHUTTING_DOWN', 'NetConnection.Connect.AppShutdown'],
  ] as const)('%s says %s and why, then closes', (code, expected) => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'publish', 3, null, 'test');
    const error = new SluiceError(code, 'live/test has a problem');
    peer.requests[0]?.reject(error);
    expect(peer.answers()).toEqual([
      status(1, 'error', expected, `live/test has a problem. ${error.advice}`),
    ]);
    expect(peer.closes).toBe(1);
    peer.requests[0]?.reject(error);
    peer.command(0, 'createStream', 4, null);
    peer.control(4, hex('0006 00000001'));
    peer.session.ping(1);
    expect(peer.answers()).toEqual([]);
    expect(peer.closes).toBe(1);
  });

  it('ends the other publications of the connection', () => {
    const peer = new Peer();
    const first = peer.publish('one');
    peer.receiver = null;
    peer.command(2, 'publish', 4, null, 'two');
    peer.requests[1]?.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
    expect(first.heard).toEqual([['end']]);
    expect(peer.session.publishing).toBe(false);
  });

  it('ends what else the same bytes held', () => {
    const peer = new Peer();
    peer.connect();
    const session = new ServerSession({
      congested: () => false,
      write: () => {},
      publish: (request) => {
        peer.requests.push(request);
        request.reject(new SluiceError('SLUICE_RTMP_BAD_NAME', 'no'));
      },
      close: () => {
        peer.closes++;
      },
    });
    const command = (streamId: number, ...values: AmfValue[]) =>
      peer.encoder.encode(3, { type: 20, timestamp: 0, streamId, body: encodeAmf0(values) });
    session.push(
      Buffer.concat([
        Buffer.from([3]),
        Buffer.alloc(3072),
        command(0, 'connect', 1, { app: 'live' }),
        command(1, 'publish', 2, null, 'one'),
        command(2, 'publish', 3, null, 'two'),
      ]),
    );
    expect(peer.requests.map(({ key }) => key)).toEqual(['one']);
    expect(peer.closes).toBe(1);
  });
});

describe('commands', () => {
  it.each([
    ['getStreamLength', 'test', result(9, null, 0)],
    ['releaseStream', 'test', result(9, null, undefined)],
    ['FCPublish', 'test', result(9, null, undefined)],
    ['FCUnpublish', 'test', result(9, null, undefined)],
    ['FCSubscribe', 'test', result(9, null, undefined)],
    ['FCUnsubscribe', 'test', result(9, null, undefined)],
    ['_checkbw', undefined, result(9, null, undefined)],
    ['checkBandwidth', undefined, result(9, null, undefined)],
  ] as [string, AmfValue, Answer][])(
    '%s is answered, unless its transaction id is 0',
    (name, arg, answer) => {
      const peer = new Peer();
      peer.connect();
      peer.command(0, name, 9, null, arg);
      expect(peer.answers()).toEqual([answer]);
      peer.command(0, name, 0, null, arg);
      expect(peer.answers()).toEqual([]);
    },
  );

  it('createStream counts up', () => {
    const peer = new Peer();
    peer.command(0, 'createStream', 2, null);
    peer.command(0, 'createStream', 3, null);
    peer.command(0, 'deleteStream', 0, null, 1);
    peer.command(0, 'createStream', 4);
    expect(peer.answers()).toEqual([result(2, null, 1), result(3, null, 2), result(4, null, 3)]);
  });

  it('unknown ones are refused but not fatal, and not answered for transaction id 0', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(0, 'selfDestruct', 9, null);
    peer.command(0, 'selfDestruct', 0, null);
    peer.command(1, 'x'.repeat(500), 10, null);
    const failed = (name: string) => ({
      level: 'error',
      code: 'NetConnection.Call.Failed',
      description: `Method not found (${name}).`,
    });
    expect(peer.answers()).toEqual([
      [0, '_error', 9, null, failed('selfDestruct')],
      [0, '_error', 10, null, failed('x'.repeat(64))],
    ]);
    expect(peer.closes).toBe(0);
  });

  it.each(['_result', '_error', 'onStatus'])('%s gets no answer', (name) => {
    const peer = new Peer();
    peer.command(0, name, 9, null);
    expect(peer.answers()).toEqual([]);
  });

  it('without a name are ignored', () => {
    const peer = new Peer();
    peer.command(0, 5, 6, null);
    peer.command(0);
    expect(peer.answers()).toEqual([]);
  });

  it('play says that there is no such thing here', () => {
    const peer = new Peer();
    peer.connect();
    peer.command(1, 'play', 0, null, 'test', -2000);
    expect(peer.answers()).toEqual([
      status(1, 'error', 'NetStream.Play.StreamNotFound', 'This gateway plays over HLS, not RTMP.'),
    ]);
  });

  it.each([
    ['a leading zero', '00'],
    ['no leading zero', ''],
  ])('AMF3 commands (type 17) with %s', (_name, lead) => {
    const peer = new Peer();
    const send = (streamId: number, ...values: AmfValue[]) =>
      peer.send(3, {
        type: 17,
        timestamp: 0,
        streamId,
        body: Buffer.concat([hex(lead), encodeAmf0(values)]),
      });
    send(0, 'connect', 1, { app: 'live', objectEncoding: 3 });
    send(0, 'createStream', 2, null);
    peer.answers();
    peer.receiver = new Recorder();
    send(1, 'publish', 3, null, 'test');
    expect(peer.requests).toMatchObject([{ app: 'live', key: 'test' }]);
    expect(peer.answers()).toEqual(STARTED);
  });

  it('cut short end the session with an AMF error', () => {
    const peer = new Peer();
    const body = encodeAmf0(['createStream', 2, null]).subarray(0, 18);
    expect(failure(() => peer.send(3, { type: 20, timestamp: 0, streamId: 0, body }))).toBe(
      'SLUICE_AMF_MALFORMED',
    );
  });
});

describe('limits', () => {
  it('at most 8 message streams by createStream', () => {
    const peer = new Peer();
    for (let n = 0; n < RTMP_LIMITS.messageStreams; n++) peer.command(0, 'createStream', 2, null);
    expect(failure(() => peer.command(0, 'createStream', 2, null))).toBe('SLUICE_RTMP_LIMIT');
  });

  it('at most 8 message streams by publish', () => {
    const peer = new Peer();
    peer.command(0, 'connect', 1, {});
    for (let n = 0; n < RTMP_LIMITS.messageStreams; n++) peer.command(100 + n, 'publish', 0, null, 'a');
    peer.command(100, 'publish', 0, null, 'b');
    expect(failure(() => peer.command(99, 'publish', 0, null, 'a'))).toBe('SLUICE_RTMP_LIMIT');
    expect(peer.requests.length).toBe(RTMP_LIMITS.messageStreams + 1);
  });

  it('createStream gives out no id that is in use', () => {
    const peer = new Peer();
    const recorder = new Recorder();
    peer.receiver = recorder;
    peer.command(0, 'connect', 1, {});
    peer.command(1, 'publish', 0, null, 'test');
    peer.command(0, 'closeStream', 0, null);
    peer.command(2, 'publish', 0, null, 'test');
    peer.answers();
    peer.command(0, 'createStream', 3, null);
    expect(peer.answers()).toEqual([result(3, null, 3)]);
    peer.media(8, 0, hex('af01'));
    peer.session.end();
    expect(recorder.heard).toEqual([['audio', 0, 'af01'], ['end'], ['end']]);
  });

  it('unfinished messages take a lot less before somebody may publish', () => {
    const begun = (peer: Peer, csid: number) =>
      peer.session.push(
        peer.encoder
          .open(csid, { type: 9, timestamp: 0, streamId: 1, body: Buffer.alloc(4_000_000) }, { format: 0 })
          .next(),
      );
    const stranger = new Peer();
    stranger.setChunkSize(300_000);
    stranger.connect();
    begun(stranger, 10);
    expect(failure(() => begun(stranger, 11))).toBe('SLUICE_RTMP_LIMIT');
    const publisher = new Peer();
    publisher.setChunkSize(600_000);
    publisher.publish();
    for (let n = 0; n < 20; n++) begun(publisher, 10 + n);
    expect(failure(() => Array.from({ length: 20 }, (_, n) => begun(publisher, 40 + n)))).toBe(
      'SLUICE_RTMP_LIMIT',
    );
  });

  it('publish commands are counted', () => {
    const peer = new Peer();
    peer.connect();
    for (let n = 0; n < RTMP_LIMITS.publishes; n++) peer.command(1, 'publish', 0, null, `s${n}`);
    expect(failure(() => peer.command(1, 'publish', 0, null, 'one more'))).toBe('SLUICE_RTMP_LIMIT');
    expect(peer.requests).toHaveLength(RTMP_LIMITS.publishes);
  });

  it('closeStream of streams that do not exist creates none', () => {
    const peer = new Peer();
    for (let n = 0; n < 100; n++) peer.command(1000 + n, 'closeStream', 0, null);
    for (let n = 0; n < RTMP_LIMITS.messageStreams; n++) peer.command(0, 'createStream', 2, null);
    expect(peer.answers().length).toBe(RTMP_LIMITS.messageStreams);
  });
});

describe('a peer that does not read', () => {
  it('gets neither acknowledgements nor pings while earlier answers wait', () => {
    let congested = false;
    const written: Buffer[] = [];
    const session = new ServerSession({
      congested: () => congested,
      write: (bytes) => written.push(bytes),
      publish: () => {},
      close: () => {},
    });
    session.push(Buffer.concat([Buffer.of(3), Buffer.alloc(3072)]));
    written.length = 0;
    const writer = new ChunkWriter();
    const flood = () => {
      for (let n = 0; n < 6; n++) {
        session.push(writer.encode({ type: 9, timestamp: 0, streamId: 1, body: Buffer.alloc(400_000) }));
      }
      session.ping(1);
    };
    congested = true;
    flood();
    expect(written).toEqual([]);
    congested = false;
    flood();
    expect(written.length).toBeGreaterThan(0);
  });
});

describe('data messages', () => {
  const metadata = { width: 1280, encoder: 'x' };

  it.each([
    ['AMF0, wrapped', 18, encodeAmf0(['@setDataFrame', 'onMetaData', metadata])],
    ['AMF0, bare', 18, encodeAmf0(['onMetaData', metadata])],
    [
      'AMF3 with a leading zero',
      15,
      Buffer.concat([hex('00'), encodeAmf0(['@setDataFrame', 'onMetaData', metadata])]),
    ],
    ['AMF3 without', 15, encodeAmf0(['@setDataFrame', 'onMetaData', metadata])],
  ])('%s', (_name, type, body) => {
    const peer = new Peer();
    const recorder = peer.publish();
    peer.media(type, 0, body);
    expect(recorder.heard).toEqual([['data', { name: 'onMetaData', values: [metadata] }]]);
    expect(peer.session.mediaMessages).toBe(1);
  });

  it('that are broken cost only themselves', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    peer.media(18, 0, hex('02 ffff 61'));
    peer.media(9, 40, hex('2701'));
    expect(recorder.heard).toEqual([
      ['damaged', 'SLUICE_AMF_MALFORMED'],
      ['video', 40, '2701'],
    ]);
  });

  it('without a name are dropped', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    peer.media(18, 0, encodeAmf0([1]));
    peer.media(18, 0, Buffer.alloc(0));
    expect(recorder.heard).toEqual([]);
  });
});

describe('aggregates', () => {
  function tag(type: number, timestamp: number, body: Buffer, previousSize = true): Buffer {
    const header = Buffer.alloc(11);
    header.writeUInt8(type, 0);
    header.writeUIntBE(body.length, 1, 3);
    header.writeUIntBE(timestamp & 0xffffff, 4, 3);
    header.writeUInt8(timestamp >>> 24, 7);
    const size = Buffer.alloc(previousSize ? 4 : 0);
    if (previousSize) size.writeUInt32BE(11 + body.length);
    return Buffer.concat([header, body, size]);
  }

  it('are taken apart; times count from the first part', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    const parts = [
      tag(9, 5000, hex('1701')),
      tag(8, 5010, hex('af01')),
      tag(18, 5020, encodeAmf0(['onCuePoint', 1])),
      tag(9, 5040, hex('2701'), false),
    ];
    peer.media(22, 1000, Buffer.concat(parts));
    expect(recorder.heard).toEqual([
      ['video', 1000, '1701'],
      ['audio', 1010, 'af01'],
      ['data', { name: 'onCuePoint', values: [1] }],
      ['video', 1040, '2701'],
    ]);
    expect(peer.session.mediaMessages).toBe(4);
  });

  it('count across the wrap and backwards', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    peer.media(22, 0xfffffff0, Buffer.concat([tag(8, 0x01000000, hex('01')), tag(8, 0x01000020, hex('02'))]));
    peer.media(
      22,
      5,
      Buffer.concat([tag(8, 0xffffffff, hex('03')), tag(8, 9, hex('04')), tag(8, 0xfffffffe, hex('05'))]),
    );
    expect(recorder.heard).toEqual([
      ['audio', 0xfffffff0, '01'],
      ['audio', 0x10, '02'],
      ['audio', 5, '03'],
      ['audio', 15, '04'],
      ['audio', 4, '05'],
    ]);
  });

  it('may be empty', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    peer.media(22, 0, Buffer.alloc(0));
    expect(recorder.heard).toEqual([]);
  });

  it('carry media only: commands and aggregates inside are passed over', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    const parts = [
      tag(8, 0, hex('01')),
      tag(22, 0, tag(8, 0, hex('02'))),
      tag(20, 0, encodeAmf0(['deleteStream', 0, null, 1])),
      tag(8, 5, hex('03')),
    ];
    peer.media(22, 0, Buffer.concat(parts));
    expect(recorder.heard).toEqual([
      ['audio', 0, '01'],
      ['audio', 5, '03'],
    ]);
  });

  it('that are cut short cost only what is missing', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    const whole = tag(8, 0, hex('01'));
    peer.media(22, 0, Buffer.concat([whole, whole.subarray(0, 11)]));
    peer.media(8, 9, hex('02'));
    expect(recorder.heard).toEqual([
      ['audio', 0, '01'],
      ['damaged', 'SLUICE_FLV_MALFORMED'],
      ['audio', 9, '02'],
    ]);
  });
});

describe('control messages', () => {
  it('acknowledges with the running total, every half of the window', () => {
    const peer = new Peer();
    peer.connect();
    // 16 of the window message itself, and what connect and createStream took.
    peer.control(5, hex('00000400'));
    const before = peer.answers();
    expect(before).toEqual([]);
    const totals: number[] = [];
    for (let n = 0; n < 12; n++) {
      peer.media(8, n, Buffer.alloc(88));
      for (const [name, body] of peer.answers()) {
        expect(name).toBe('Acknowledgement');
        totals.push(Number.parseInt(String(body), 16));
      }
    }
    expect(totals.length).toBe(2);
    const [first = 0, second = 0] = totals;
    // Six messages of 100 bytes are the first that exceed half the window.
    expect(second - first).toBe(600);
    expect(first).toBeGreaterThan(512);
  });

  it('acknowledges all the bytes since the handshake', () => {
    const peer = new Peer();
    peer.control(5, hex('00000010'));
    peer.session.push(hex('04 000000 000001 08 01000000 aa'));
    expect(peer.written).toEqual([hex('02 000000 000004 03 00000000 0000001d')]);
  });

  it('acknowledges 1.25 MB without being asked', () => {
    const peer = new Peer();
    peer.setChunkSize(0x100000);
    for (let n = 0; n < 12; n++) peer.media(9, 0, Buffer.alloc(100_000));
    expect(peer.answers()).toEqual([]);
    peer.media(9, 0, Buffer.alloc(100_000));
    const total = 16 + 13 * 100_012;
    expect(peer.answers()).toEqual([['Acknowledgement', total.toString(16).padStart(8, '0')]]);
  });

  it('answers a ping with its number', () => {
    const peer = new Peer();
    peer.control(4, hex('0006 deadbeef'));
    expect(peer.written).toEqual([hex('02 000000 000006 04 00000000 0007 deadbeef')]);
  });

  it.each(['', '0006', '0006 0000', '0003 00000001 00000bb8', '0007 00000001', '001f 00000001', '001a'])(
    'user control %j gets no answer',
    (body) => {
      const peer = new Peer();
      peer.control(4, hex(body));
      expect(peer.written).toEqual([]);
    },
  );

  it.each(['002625a0 02', '002625a0 00', '002625a0'])(
    'answers Set Peer Bandwidth %s with the window',
    (body) => {
      const peer = new Peer();
      peer.control(6, hex(body));
      expect(peer.written).toEqual([hex('02 000000 000004 05 00000000 002625a0')]);
    },
  );

  it.each([
    [5, '0000'],
    [6, '0000'],
    [3, '00000001'],
    [3, ''],
    [16, '00'],
    [19, '00'],
    [7, '00000000'],
    [255, '00'],
  ])('ignores type %i with %j', (type, body) => {
    const peer = new Peer();
    peer.control(type, hex(body));
    expect(peer.written).toEqual([]);
    peer.command(0, 'createStream', 2, null);
    expect(peer.answers()).toEqual([result(2, null, 1)]);
  });

  it('pings when asked to, not before the handshake', () => {
    const peer = new Peer();
    peer.session.ping(12_345);
    expect(peer.written).toEqual([hex('02 000000 000006 04 00000000 0006 00003039')]);
    const written: Buffer[] = [];
    const session = new ServerSession({
      congested: () => false,
      write: (bytes) => written.push(bytes),
      publish: () => {},
      close: () => {},
    });
    session.ping(1);
    expect(written).toEqual([]);
    expect(session.handshakeDone).toBe(false);
  });
});

describe('the end of a publication', () => {
  it.each([
    ['deleteStream', (peer: Peer) => peer.command(0, 'deleteStream', 4, null, 1), [UNPUBLISHED]],
    ['deleteStream by name', (peer: Peer) => peer.command(0, 'deleteStream', 4, null, 'test'), [UNPUBLISHED]],
    ['closeStream', (peer: Peer) => peer.command(1, 'closeStream', 4, null), [UNPUBLISHED]],
    ['the end of the transport', (peer: Peer) => peer.session.end(), []],
    [
      'a dismissal',
      (peer: Peer) => peer.session.dismiss('SLUICE_SHUTTING_DOWN'),
      [status(1, 'error', 'NetConnection.Connect.AppShutdown', ERRORS.SLUICE_SHUTTING_DOWN)],
    ],
  ] as [string, (peer: Peer) => void, Answer[]][])('by %s is told once', (_name, finish, answers) => {
    const peer = new Peer();
    const recorder = peer.publish();
    finish(peer);
    expect(recorder.heard).toEqual([['end']]);
    expect(peer.answers()).toEqual(answers);
    expect(peer.session.publishing).toBe(false);
    finish(peer);
    peer.media(8, 0, hex('af01'));
    peer.session.end();
    peer.session.dismiss('SLUICE_SHUTTING_DOWN');
    peer.session.end();
    expect(recorder.heard).toEqual([['end']]);
  });

  it('by deleteStream leaves unknown ids and wrong types alone', () => {
    const peer = new Peer();
    const recorder = peer.publish();
    for (const which of [2, 0, '1', '', null, undefined, true])
      peer.command(0, 'deleteStream', 4, null, which);
    peer.command(0, 'deleteStream', 4);
    expect(recorder.heard).toEqual([]);
    expect(peer.answers()).toEqual([]);
  });

  it('tells every publisher on dismissal, then closes once', () => {
    const peer = new Peer();
    const recorder = peer.publish('one');
    peer.receiver = null;
    peer.command(2, 'publish', 4, null, 'two');
    peer.command(0, 'createStream', 5, null);
    peer.answers();
    peer.session.dismiss('SLUICE_RTMP_REPLACED');
    expect(peer.answers()).toEqual([
      status(1, 'error', 'NetStream.Publish.BadName', ERRORS.SLUICE_RTMP_REPLACED),
      status(2, 'error', 'NetStream.Publish.BadName', ERRORS.SLUICE_RTMP_REPLACED),
    ]);
    expect(peer.closes).toBe(1);
    expect(recorder.heard).toEqual([['end']]);
    peer.session.dismiss('SLUICE_RTMP_REPLACED');
    expect(peer.closes).toBe(1);
    expect(peer.written).toEqual([]);
  });

  it('does not ask for a close when the transport is already gone', () => {
    const peer = new Peer();
    peer.publish();
    peer.session.end();
    peer.session.dismiss('SLUICE_RTMP_REPLACED');
    expect(peer.closes).toBe(0);
    expect(peer.written).toEqual([]);
  });
});

describe('handshake', () => {
  it('is answered by the session; what follows C2 in the same bytes is read', () => {
    const written: Buffer[] = [];
    const session = new ServerSession({
      congested: () => false,
      write: (bytes) => written.push(bytes),
      publish: () => {},
      close: () => {},
    });
    session.push(Buffer.concat([hex('03'), Buffer.alloc(1536)]));
    expect(written.map((bytes) => bytes.length)).toEqual([3073]);
    expect(session.handshakeDone).toBe(false);
    session.push(Buffer.concat([Buffer.alloc(1536), hex('02 000000 000006 04 00000000 0006 00000001')]));
    expect(session.handshakeDone).toBe(true);
    expect(written.slice(1)).toEqual([hex('02 000000 000006 04 00000000 0007 00000001')]);
  });

  it('of something else is refused', () => {
    const session = new ServerSession({
      congested: () => false,
      write: () => {},
      publish: () => {},
      close: () => {},
    });
    expect(failure(() => session.push(Buffer.from('GET / HTTP/1.1\r\n')))).toBe('SLUICE_RTMP_NOT_RTMP');
  });
});
