"""Reports as HTML pages that load nothing from elsewhere and run nothing, and their figures."""
