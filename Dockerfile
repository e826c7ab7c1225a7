# The gateway with ffmpeg beside it. Runs as it is on a read-only root filesystem: all it writes is in /var/lib/sluice.

FROM node:24-bookworm-slim AS app
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
# Development tools only have to compile; none of them needs its own install script for that.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY src ./src
# What is left are the modules that run; nobody debugs into them here, and of hls.js only one file is served.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -name '*.map' -delete && rm -rf node_modules/hls.js/src

# Receiving and packaging need no ffmpeg; transcoding does. Debian's package brings 240 MB of libraries for screens,
# sound cards, speech and a hundred formats. This is the same source, with Debian's patches, and what live video uses:
# all that encoders send over RTMP, old Flash codecs included, and H.264 and AAC for what viewers get. 20 MB. (Encoders
# of HEVC and AV1 would be of no use: transcoding takes those of ffmpeg 6.1 and newer only.) To have more, add it to the
# lists. Needs no change for years, so the layer stays in the cache.
FROM node:24-bookworm-slim AS ffmpeg
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources \
 && apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends dpkg-dev gcc libc6-dev make nasm pkg-config \
    libdav1d-dev libmp3lame-dev libopus-dev libwebp-dev libx264-dev zlib1g-dev
WORKDIR /build
RUN apt-get source -qq ffmpeg && mv ffmpeg-*/ source
WORKDIR /build/source
# Stops for what cannot be built, but says nothing of a name it does not know: see "./configure --list-decoders" and so on.
RUN ./configure --prefix=/opt/ffmpeg --disable-autodetect --disable-everything --disable-doc --disable-debug --fatal-warnings \
    --enable-gpl --enable-zlib --enable-libdav1d --enable-libmp3lame --enable-libopus --enable-libwebp --enable-libx264 \
    --enable-decoder=aac,aac_latm,ac3,adpcm_swf,eac3,flac,flashsv,flashsv2,flv,h263,h264,hevc,libdav1d,libopus,mjpeg,mp3,mp3float,mpeg4,nellymoser,opus,pcm_alaw,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_u8,png,rawvideo,speex,vp6,vp6a,vp6f,vp8,vp9,webp,wrapped_avframe \
    --enable-encoder=aac,flv,libmp3lame,libopus,libwebp,libx264,mjpeg,pcm_s16le,png,rawvideo,wrapped_avframe \
    --enable-demuxer=aac,concat,flv,h264,hevc,hls,image2,image2pipe,image_jpeg_pipe,image_png_pipe,image_webp_pipe,live_flv,matroska,mov,mp3,mpegts,ogg,pcm_s16le,rawvideo,wav \
    --enable-muxer=adts,flv,framemd5,h264,hls,image2,image2pipe,matroska,mov,mp3,mp4,mpegts,null,pcm_s16le,rawvideo,segment,tee,wav,webm,webp \
    --enable-parser=aac,aac_latm,ac3,av1,flac,h263,h264,hevc,mjpeg,mpeg4video,mpegaudio,opus,png,vp8,vp9,webp \
    --enable-bsf=aac_adtstoasc,av1_frame_merge,dump_extradata,extract_extradata,h264_metadata,h264_mp4toannexb,hevc_mp4toannexb,null,setts,vp9_superframe,vp9_superframe_split \
    --enable-protocol=concat,file,http,pipe,rtmp,tcp,udp,unix \
    --enable-indev=lavfi \
    --enable-filter=acopy,aformat,amix,anull,anullsrc,apad,arealtime,aresample,aselect,asetpts,asettb,asplit,atrim,blackdetect,bwdif,color,concat,copy,crop,drawbox,format,fps,hflip,loop,null,overlay,pad,pan,psnr,realtime,scale,select,setdar,setpts,setsar,settb,showinfo,sine,smptebars,smptehdbars,split,ssim,testsrc,testsrc2,thumbnail,tile,tpad,transpose,trim,vflip,volume,yadif \
 && make -s -j"$(nproc)" && make -s install

FROM node:24-bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libdav1d6 libmp3lame0 libopus0 libwebp7 libwebpmux3 libx264-164 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 # A new volume takes its owner from here.
 && install -d -o node -g node /var/lib/sluice
COPY --from=ffmpeg /opt/ffmpeg/bin /usr/local/bin
WORKDIR /app
COPY --from=app /app/package.json ./
COPY --from=app /app/node_modules ./node_modules
COPY --from=app /app/dist ./dist
COPY public ./public
COPY assets ./assets
# What is large is mapped and given back by itself: in the one heap of glibc it would leave ever more holes
# (docs/performance.md).
ENV NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    MALLOC_ARENA_MAX=2 \
    SLUICE_STORAGE_DIRECTORY=/var/lib/sluice
USER node
EXPOSE 1935 8080
# Without a shell, and without an answer within 3 s: not healthy.
HEALTHCHECK --interval=5s --timeout=3s --retries=3 --start-period=10s \
  CMD ["node", "-e", "require('node:http').get({ port: process.env.SLUICE_HTTP_PORT || 8080, path: '/healthz' }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "dist/cli.js"]
