/** Clipboard: what was copied on any device, searched, copied again, kept or deleted; and whether this desktop takes part. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { ClipItem } from '../../peer/api.ts'
import { formatSize } from '../../base/quantities.ts'
import type { ClipGetResult, ClipState } from '../../peer/api-clipboard.ts'
import { ClipImage, loadContent, pngType } from './clip-image.tsx'
import { takeClipboard } from './clip-take.ts'
import { commandLine, formatAgo, formatTime } from './format.ts'
import type { Mood } from './parts.tsx'
import { Action, Badge, Card, Cli, Empty, Fault, Said, SaidLines, useLoad } from './parts.tsx'
import { call, get } from './session.ts'
import type { PageState } from './store.ts'

const listed = '200'
const pauseMs = 600_000

export function ClipboardView({ page }: { readonly page: PageState }): JSX.Element {
  const [query, setQuery] = useState('')
  const [pinned, setPinned] = useState(false)
  const change = page.events.find(({ name }) => name === 'clipboard.changed')
  const state = page.status?.clipboard
  const { value, error, reload } = useLoad(
    () =>
      get<readonly ClipItem[]>('/clipboard/history', {
        limit: listed,
        ...(query !== '' && { query }),
        ...(pinned && { pinned: 'true' }),
      }),
    `${query} ${pinned} ${change?.atMs} ${state?.itemCount}`,
  )
  const line = query === '' ? ['clip', 'history'] : ['clip', 'search', query]
  return (
    <>
      {state !== undefined && state.state !== 'ready' && <DesktopState state={state} />}
      <Card title="History">
        <label>
          Search
          <input type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={pinned}
            onChange={(event) => setPinned(event.currentTarget.checked)}
          />
          Pinned only
        </label>
        <Cli line={commandLine(...line, ...(pinned ? ['--pinned'] : []))} />
        <Fault error={error} />
        {value?.length === 0 && (
          <Empty title={query === '' && !pinned ? 'Nothing was copied yet' : 'Nothing of it was copied'}>
            <p>Copy something below, or on any device:</p>
            <Cli line="skein clip set hello" />
          </Empty>
        )}
        <ul class="list">
          {value?.map((item) => (
            <Item key={item.id} item={item} reload={reload} />
          ))}
        </ul>
        {value !== undefined && value.length > 0 && (
          <Action
            isDanger
            isQuiet
            label="Clear the history"
            confirm="Delete all items that are not pinned, on all devices?"
            cli={commandLine('clip', 'clear', '--yes')}
            run={() => call('POST', '/clipboard/clear', {}).then(reload)}
          />
        )}
      </Card>
      <PutText />
      {state?.state === 'ready' && <DesktopState state={state} />}
    </>
  )
}

const words: Readonly<Record<ClipState['state'], readonly [Mood, string]>> = {
  ready: ['good', 'takes part'],
  away: ['bad', 'no display'],
  paused: ['off', 'paused'],
  off: ['off', 'off'],
}

function DesktopState({ state }: { readonly state: ClipState }): JSX.Element {
  const [mood, word] = words[state.state]
  return (
    <Card title="This desktop">
      <p>
        <Badge mood={mood} word={word} />{' '}
        {state.desktop === 'memory' ? 'a machine without a desktop' : <Said text={state.desktop} />},{' '}
        {state.itemCount} items
        {state.pausedUntilMs !== undefined && `, until ${formatTime(state.pausedUntilMs)}`}
      </p>
      {state.reason !== undefined && (
        <p class="quiet">
          <Said text={state.reason} />
          {state.fix !== undefined && (
            <>
              {' '}
              Fix: <Said text={state.fix} />
            </>
          )}
        </p>
      )}
      {state.state === 'off' && <p class="quiet">settings.json leaves this desktop out.</p>}
      {state.state === 'paused' && (
        <Action label="Resume" cli="skein clip resume" run={() => call('POST', '/clipboard/resume', {})} />
      )}
      {(state.state === 'ready' || state.state === 'away') && (
        <>
          <Action
            isQuiet
            label="Pause for 10 minutes"
            cli="skein clip pause --for 10m"
            run={() => call('POST', '/clipboard/pause', { forMs: pauseMs })}
          />
          <Action
            isQuiet
            label="Pause"
            cli="skein clip pause"
            run={() => call('POST', '/clipboard/pause', {})}
          />
        </>
      )}
    </Card>
  )
}

function PutText(): JSX.Element {
  const [text, setText] = useState('')
  const isLong = text === '' || text.length > 60 || text.includes('\n')
  return (
    <Card title="Put something on it">
      <label>
        Text
        <textarea value={text} rows={3} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <Action
        label="Copy to all devices"
        cli={commandLine('clip', 'set', isLong ? 'TEXT' : text)}
        isDisabled={text === ''}
        run={() => call('POST', '/clipboard', { text }).then(() => setText(''))}
      />
      <Action
        isQuiet
        label="Take what this browser can paste"
        cli="skein clip set < FILE"
        run={takeClipboard}
      />
    </Card>
  )
}

/** Onto the clipboard of the browser's desktop; a picture as a picture. */
async function copyHere({ id, mediaTypes, text }: ClipItem): Promise<void> {
  if (text === undefined && mediaTypes.includes(pngType)) {
    const bytes = await loadContent(id, pngType, new AbortController().signal)
    return await navigator.clipboard.write([
      new ClipboardItem({ [pngType]: new Blob([bytes], { type: pngType }) }),
    ])
  }
  const whole = await get<ClipGetResult>('/clipboard', { id })
  await navigator.clipboard.writeText(whole.text ?? text ?? '')
}

interface ItemProps {
  readonly item: ClipItem
  readonly reload: () => void
}

function Item({ item, reload }: ItemProps): JSX.Element {
  const { id, text, files, problem, isPinned, mediaTypes } = item
  const hasPicture = mediaTypes.includes(pngType)
  const short = id.slice(0, 8)
  const act = (method: string, path: string) => () => call(method, `/clipboard/${id}${path}`, {}).then(reload)
  return (
    <li class="item" data-clip={id}>
      <p class="quiet">
        {isPinned && <Badge mood="good" word="pinned" />} <Said text={item.deviceName} />
        {problem === undefined && (
          <>
            , {formatAgo(item.atMs)}, <Said text={mediaTypes.join(', ')} />, {formatSize(item.sizeBytes)}
          </>
        )}
      </p>
      {problem !== undefined && (
        <p class="quiet">
          It cannot be read here: <Said text={problem} />.
        </p>
      )}
      {text !== undefined && files === undefined && <SaidLines text={text} />}
      {files !== undefined && <SaidLines text={files.join('\n')} />}
      {text === undefined && hasPicture && <ClipImage item={item} />}
      {item.leftOut?.map(({ what, reason }) => (
        <p key={what} class="quiet">
          Left out: <Said text={what} />, <Said text={reason} />
        </p>
      ))}
      <div class="actions">
        {problem === undefined && (text !== undefined || hasPicture) && (
          <Action
            isQuiet
            label="Copy here"
            cli={commandLine('clip', 'get', short)}
            run={() => copyHere(item)}
          />
        )}
        {problem === undefined && (
          <Action
            isQuiet
            label="Make it the newest"
            cli={commandLine('clip', 'paste', short)}
            run={act('POST', '/paste')}
          />
        )}
        {isPinned ? (
          <Action
            isQuiet
            label="Unpin"
            cli={commandLine('clip', 'unpin', short)}
            run={act('DELETE', '/pin')}
          />
        ) : (
          <Action isQuiet label="Pin" cli={commandLine('clip', 'pin', short)} run={act('POST', '/pin')} />
        )}
        <Action
          isQuiet
          isDanger
          label="Delete"
          confirm="Delete it on all devices?"
          cli={commandLine('clip', 'delete', short)}
          run={act('DELETE', '')}
        />
      </div>
    </li>
  )
}
