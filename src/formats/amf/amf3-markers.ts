// Type markers: Action Message Format AMF 3, chapter 3.
export const UNDEFINED = 0x00;
export const NULL = 0x01;
export const FALSE = 0x02;
export const TRUE = 0x03;
export const INTEGER = 0x04;
export const DOUBLE = 0x05;
export const STRING = 0x06;
export const XML_DOCUMENT = 0x07;
export const DATE = 0x08;
export const ARRAY = 0x09;
export const OBJECT = 0x0a;
export const XML = 0x0b;
export const BYTE_ARRAY = 0x0c;
export const VECTOR_INT = 0x0d;
export const VECTOR_UINT = 0x0e;
export const VECTOR_DOUBLE = 0x0f;
export const VECTOR_OBJECT = 0x10;
export const DICTIONARY = 0x11;

export const LAST_MARKER = DICTIONARY;

/** Bit 0 of every header: set means the value follows, clear means the other bits are a table index. */
export const INLINE = 1;
/** Bit 1 of an inline object header: set means the traits follow. */
export const INLINE_TRAITS = 2;
export const EXTERNALIZABLE = 4;
export const DYNAMIC = 8;

export const MAX_U29 = 2 ** 29 - 1;
/** Integers are 29-bit two's complement; anything else is written as a double. */
export const MIN_INTEGER = -(2 ** 28);
export const MAX_INTEGER = 2 ** 28 - 1;

/** Externalizable: the class decides what follows. This one writes exactly one AMF3 value, its source array. */
export const ARRAY_COLLECTION = 'flex.messaging.io.ArrayCollection';
