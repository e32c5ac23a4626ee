// biome-ignore-all lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
// biome-ignore-all lint/a11y/useSemanticElements: a scrolling region
/** Markdown as elements; every text goes in as text. */
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { type Align, type Block, type Inline, readMarkdown } from './markdown.ts';

export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => readMarkdown(text), [text]);
  return <div class="markdown">{blocks.map(blockOf)}</div>;
}

function blockOf(block: Block, key: number): ComponentChildren {
  switch (block.kind) {
    case 'heading': {
      // Within a page of its own headings, notes begin at the third level.
      const Name = block.level === 1 ? 'h3' : block.level === 2 ? 'h4' : 'h5';
      return <Name key={key}>{block.children.map(inlineOf)}</Name>;
    }
    case 'paragraph':
      return <p key={key}>{block.children.map(inlineOf)}</p>;
    case 'code':
      return (
        <pre key={key}>
          <code>{block.text}</code>
        </pre>
      );
    case 'quote':
      return <blockquote key={key}>{block.children.map(blockOf)}</blockquote>;
    case 'rule':
      return <hr key={key} />;
    case 'table':
      return (
        <div class="table-scroll" key={key} tabIndex={0} role="region" aria-label="Table">
          <table>
            <thead>
              <tr>
                {block.head.map((cell, column) => (
                  <th key={column} {...alignedBy(block.align[column])}>
                    {cell.map(inlineOf)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, line) => (
                <tr key={line}>
                  {row.map((cell, column) => (
                    <td key={column} {...alignedBy(block.align[column])}>
                      {cell.map(inlineOf)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
    case 'list': {
      const items = block.items.map((item, index) => <li key={index}>{itemOf(item)}</li>);
      return block.ordered ? (
        <ol key={key} start={block.start}>
          {items}
        </ol>
      ) : (
        <ul key={key}>{items}</ul>
      );
    }
  }
}

const alignedBy = (align: Align | undefined) => (align ? { style: { textAlign: align } } : {});

/** A paragraph that begins an item needs no box of its own. */
function itemOf([first, ...rest]: readonly Block[]): ComponentChildren {
  if (first?.kind !== 'paragraph') return first === undefined ? null : [first, ...rest].map(blockOf);
  return [...first.children.map(inlineOf), ...rest.map((block, index) => blockOf(block, index + 10_000))];
}

function inlineOf(piece: Inline, key: number): ComponentChildren {
  switch (piece.kind) {
    case 'text':
      return piece.text;
    case 'code':
      return <code key={key}>{piece.text}</code>;
    case 'strong':
      return <strong key={key}>{piece.children.map(inlineOf)}</strong>;
    case 'em':
      return <em key={key}>{piece.children.map(inlineOf)}</em>;
    case 'del':
      return <del key={key}>{piece.children.map(inlineOf)}</del>;
    case 'break':
      return <br key={key} />;
    case 'link':
      return (
        <a key={key} class="text-link" href={piece.href} target="_blank" rel="noopener noreferrer">
          {piece.children.map(inlineOf)}
        </a>
      );
  }
}
