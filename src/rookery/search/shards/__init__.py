"""An index in parts, which others read: asked together, and run on a cluster."""
