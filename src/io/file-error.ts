import { MbertError } from '../errors.ts';
import { lookUp } from './look-up.ts';

/** True for what a call of the system throws. */
export function isSystemError(cause: unknown): cause is NodeJS.ErrnoException {
  return cause instanceof Error && 'syscall' in cause;
}

const REASONS: { readonly [code: string]: string } = {
  ENOENT: 'does not exist',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EBUSY: 'is in use by another program',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'exists already',
  EISDIR: 'is a folder',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
  EDQUOT: "the user's share of the disk is used up",
  EFBIG: 'it is larger than files may be here (ulimit -f)',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
};

/**
 * Makes an error of USAGE of a lack of file descriptors, which can end any step, loading code among them, and is no bug.
 * Other errors are returned as they are.
 */
export function machineError(cause: unknown): unknown {
  if (!isSystemError(cause) || (cause.code !== 'EMFILE' && cause.code !== 'ENFILE')) return cause;
  return new MbertError('USAGE', `${cause.path ?? 'mbert'}: cannot be opened: ${REASONS[cause.code]}`, {
    hint: 'ulimit -n 256 is enough',
    cause,
  });
}

/** Words why a file could not be read or written. */
export function fileError(path: string, problem: string, cause: unknown): MbertError {
  if (cause instanceof MbertError) return cause;
  const code = isSystemError(cause) ? (cause.code ?? '') : '';
  const reason = lookUp(REASONS, code) ?? (cause instanceof Error ? cause.message : String(cause));
  return new MbertError(code === 'ENOENT' ? 'NOT_FOUND' : 'USAGE', `${path}: ${problem}: ${reason}`, { cause });
}
