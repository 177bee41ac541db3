"""Reports on finished runs, as Markdown with figures; the committed ones lie beside the code."""
