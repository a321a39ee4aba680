/** Clipboard: what was copied on any device, searched, copied again; and text put on it from here. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { ClipItem } from '../../peer/api.ts'
import { formatSize } from '../../base/quantities.ts'
import { commandLine, formatAgo } from './format.ts'
import { Action, Card, Cli, Empty, Fault, Said, SaidLines, useLoad } from './parts.tsx'
import { call, get } from './session.ts'
import type { PageState } from './store.ts'

export function ClipboardView({ page }: { readonly page: PageState }): JSX.Element {
  const [query, setQuery] = useState('')
  const [text, setText] = useState('')
  const change = page.events.find(({ name }) => name === 'clipboard.changed')
  const { value, error } = useLoad(
    () => get<readonly ClipItem[]>('/clipboard/history', { limit: '200', ...(query !== '' && { query }) }),
    `${query} ${change?.atMs}`,
  )
  return (
    <>
      <Card title="Put text on it">
        <label>
          Text
          <textarea value={text} rows={3} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <Action
          label="Copy to all devices"
          cli={commandLine(
            'clip',
            'set',
            text === '' || text.length > 60 || text.includes('\n') ? 'TEXT' : text,
          )}
          isDisabled={text === ''}
          run={() => call('POST', '/clipboard', { text }).then(() => setText(''))}
        />
      </Card>
      <Card title="History">
        <label>
          Search
          <input type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        </label>
        <Cli line={commandLine('clip', 'history', ...(query === '' ? [] : ['--search', query]))} />
        <Fault error={error} />
        {value?.length === 0 && (
          <Empty title={query === '' ? 'Nothing was copied yet' : 'Nothing of it was copied'}>
            <p>Copy something above, or on any device:</p>
            <Cli line="skein clip set hello" />
          </Empty>
        )}
        <ul class="list">
          {value?.map((item) => (
            <Item key={item.id} item={item} />
          ))}
        </ul>
      </Card>
    </>
  )
}

function Item({ item }: { readonly item: ClipItem }): JSX.Element {
  const { text } = item
  return (
    <li class="item">
      <p class="quiet">
        <Said text={item.deviceName} />, {formatAgo(item.atMs)}, <Said text={item.mediaType} />,{' '}
        {formatSize(item.sizeBytes)}
      </p>
      {text === undefined ? <p class="quiet">Too long to be shown here.</p> : <SaidLines text={text} />}
      {text !== undefined && (
        <Action
          isQuiet
          label="Copy here"
          cli="skein clip get"
          run={() => navigator.clipboard.writeText(text)}
        />
      )}
      {text !== undefined && (
        <Action
          isQuiet
          label="Make it the newest"
          cli={commandLine('clip', 'set', text.length > 40 || text.includes('\n') ? 'TEXT' : text)}
          run={() => call('POST', '/clipboard', { text })}
        />
      )}
    </li>
  )
}
