/** The state of the clipboard in one line, as `skein status` and `skein clip` show it. */
import type { ClipState } from '../peer/api-clipboard.ts'
import { formatTime, safe } from './terminal.ts'

/** One line, made safe. */
export function formatClipState(state: ClipState): string {
  const { desktop, itemCount, pausedUntilMs } = state
  const held = itemCount === 1 ? '1 item' : `${itemCount} items`
  switch (state.state) {
    case 'ready':
      return safe`Clipboard: ${desktop}, ${held}`
    case 'away':
      return safe`Clipboard: ${held}, but ${state.reason ?? `${desktop} is away`}${state.fix === undefined ? '' : `  (fix: ${state.fix})`}`
    case 'paused':
      return safe`Clipboard: ${held}, paused ${pausedUntilMs === undefined ? 'until: skein clip resume' : `until ${formatTime(pausedUntilMs)}`}`
    case 'off':
      return safe`Clipboard: ${held}, this desktop is left out by settings.json`
  }
}
