"""A daemon in place of ovs-vswitchd: what the database says becomes bridges, and what they do is told there.

    settings   rows of the database -> what is wanted, as values
    devices    interface types -> what carries packets
    datapaths  a Switch for each datapath type
    bridges    makes a bridge what is wanted
    status     what the switch tells the database
    commands   what ovs-appctl asks
    main       command line, start, loop, end
"""

VERSION = "3.1.0"               # of Open vSwitch, whose behaviour and texts these are
