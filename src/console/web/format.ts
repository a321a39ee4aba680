/** Numbers, times and command lines as a person reads them. */

export function formatSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export function formatSpan(spanMs: number): string {
  const seconds = Math.max(0, Math.round(spanMs / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d`
}

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' })
export const formatTime = (atMs: number): string => clock.format(atMs)
export const formatAgo = (atMs: number): string => `${formatSpan(Date.now() - atMs)} ago`
export const formatRtt = (rttMs: number): string => `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`

/** A command line whose words mean themselves in a shell. */
export const commandLine = (...words: readonly string[]): string =>
  ['skein', ...words]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ')
