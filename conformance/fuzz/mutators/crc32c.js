// CRC-32C as LevelDB and TFRecord store it, so that what is mutated gets past the checksum.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** The masked checksum as four bytes. @param {readonly Uint8Array[]} parts */
export function maskedCrc32c(parts) {
  let crc = 0xffff_ffff;
  for (const part of parts) for (const byte of part) crc = (TABLE[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  crc = ~crc >>> 0;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0);
  return bytes;
}
