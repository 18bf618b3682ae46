"""What a preview would do, read for those who have to approve it: operations, policies, and the change of cost."""
