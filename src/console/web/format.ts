/** Numbers, times and command lines as a person reads them. */
import { formatSpan } from '../../base/quantities.ts'

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
export const formatTime = (atMs: number): string => clock.format(atMs)
export const formatAgo = (atMs: number): string => `${formatSpan(Date.now() - atMs)} ago`
export const formatRtt = (rttMs: number): string => `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`

/** A command line whose words mean themselves in a shell. */
export const commandLine = (...words: readonly string[]): string =>
  ['skein', ...words]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
