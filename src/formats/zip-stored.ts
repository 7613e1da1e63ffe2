/** Date of all entries, 1 January 1980, the first that a ZIP can name: the same files always give the same bytes. */
const DOS_DATE = 0x0021;
/** Version that an unpacker must know: 1.0 is enough for stored entries (PKWARE's APPNOTE 4.4.3). */
const VERSION = 10;
/** Flag of names in UTF-8 (APPNOTE 4.4.4, bit 11). */
const UTF8_FLAG = 0x0800;

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Packs files, uncompressed, into a ZIP archive to be appended to `precedingBytes` bytes of something else. All offsets
 * count from the start of the whole file, as TFLite's metadata readers expect; they refuse compressed entries.
 */
export function storedZip(entries: readonly ZipEntry[], precedingBytes: number): Uint8Array {
  const directory: Uint8Array[] = [];
  const parts: Uint8Array[] = [];
  let at = precedingBytes;
  for (const { name, bytes } of entries) {
    const path = new TextEncoder().encode(name);
    const checksum = crc32(bytes);
    const common = [
      u16(UTF8_FLAG),
      u16(0),
      u16(0),
      u16(DOS_DATE),
      u32(checksum),
      u32(bytes.byteLength),
      u32(bytes.byteLength),
      u16(path.byteLength),
      u16(0),
    ].flat();
    directory.push(
      Uint8Array.from([
        ...u32(0x02014b50),
        ...u16(VERSION),
        ...u16(VERSION),
        ...common,
        ...u16(0),
        ...u16(0),
        ...u16(0),
        ...u32(0),
        ...u32(at),
      ]),
      path,
    );
    const header = Uint8Array.from([...u32(0x04034b50), ...u16(VERSION), ...common]);
    parts.push(header, path, bytes);
    at += header.byteLength + path.byteLength + bytes.byteLength;
  }
  const directoryBytes = directory.reduce((sum, part) => sum + part.byteLength, 0);
  const count = u16(entries.length);
  const end = [u32(0x06054b50), u16(0), u16(0), count, count, u32(directoryBytes), u32(at), u16(0)].flat();
  return Buffer.concat([...parts, ...directory, Uint8Array.from(end)]);
}

function u16(value: number): number[] {
  return [value & 255, (value >>> 8) & 255];
}

function u32(value: number): number[] {
  return [...u16(value), ...u16(value >>> 16)];
}

/** CRC of ISO 3309 and ITU-T V.42 (polynomial 0xedb88320 reflected); node:zlib has one only since 20.15. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.byteLength; i++)
    crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ (bytes[i] as number)) & 255] as number);
  return ~crc >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, value) => {
  let crc = value;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
