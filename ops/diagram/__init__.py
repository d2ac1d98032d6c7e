"""The picture of what an environment will build, drawn from its synthesized JSON.

From the JSON to the image: `resources`, `reading` with `edges`, `layout`, `graph`, `image`; `draw`
runs them one after the other.
"""
