"""``fastpath ofctl``: the verbs and the text of ovs-ofctl, over the codec of this package."""
